"""What users, disks and files do wrong is one line and an exit code: no traceback, no waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.recipes import WORDS

from casas_ray.config import Setup
from casas_ray.config.base import flat

TRAIN = ["train", "milan_baseline", *WORDS, "--no-wandb", "--machine", "debug"]
LONG_NAME = "x" * 300
NUMBERS = sorted(
    path
    for path, value in flat(Setup()).items()
    if isinstance(value, int | float) and not isinstance(value, bool)
)


@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_beyond_all_measure_is_refused_or_trained_with(run, path: str):
    """Whole numbers of 23 digits are refused; fractions may be large, and then a run diverges."""
    setting = path.removeprefix("recipe.")
    for text in ("9" * 23, "-" + "9" * 23, "1e400", "9" * 5000):
        code, _, err = run("config", "milan_tiny", f"{setting}={text}")
        assert "Traceback" not in err
        kind = type(flat(Setup())[path])
        assert code == 2 or kind is float, (path, text, err)


def test_the_largest_seed_trains(run, tmp_path: Path, text_model: str):
    words = [*TRAIN, f"text.model={text_model}", f"seed={10**18}", "optim.epochs=1"]
    words += [f"data.simulate.seed={10**18}", f"data.captions.seed={10**18}"]
    code, _, err = run(*words, "--output-dir", tmp_path / "run")
    assert code == 0, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "milan_tiny", f"seed={10**18 + 1}", "--machine", "debug"], "seed: "),
        (["simulate", "milan", "--seed", "9" * 23], "seed: "),
        (["simulate", "milan", "--seed", "-1"], "seed: "),
        (["simulate", "milan", "--days", "9" * 23], "days: "),
        (["simulate", "milan", "--residents", "9" * 23], "residents: "),
        (["train", "seed=" + "[" * 100_000], "seed: "),
    ],
)
def test_odd_numbers_on_the_line_are_settings_errors(run, words: list[str], said: str):
    code, _, err = run(*words)
    assert (code, said in err) == (2, True), err


def test_a_window_beyond_all_measure_is_one_line(run, small_set):
    for window in ("9" * 23, "-1"):
        code, _, err = run("describe", small_set.folder, "--window", window)
        assert (code, "there is no training window" in err) == (2, True), err


@pytest.fixture(params=["folder", "device", "pipe", "missing", "long", "root"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What cannot be read as a file, some of it for ever."""
    if request.param == "folder":
        (tmp_path / "folder").mkdir()
    if request.param == "pipe":
        os.mkfifo(tmp_path / "pipe")
    places = {"device": Path("/dev/zero"), "long": tmp_path / LONG_NAME, "root": Path("/")}
    return places.get(request.param, tmp_path / request.param)


def test_what_is_no_file_is_no_log_no_json_no_captions(run, no_file: Path):
    json_files = [f"--{name}={no_file}" for name in ("train-data", "vocab", "val-data")]
    for words in (
        ["prepare", "somebody", "--log", no_file],
        ["prepare", "--from", no_file],
        ["simulate", "milan", "--days", "3", "--beside", no_file],
        ["prepare", "milan", "data.simulated=true", f"data.captions.file={no_file}"],
        ["train", "--config", no_file],
        ["train", *json_files],
    ):
        code, _, err = run(*words)
        assert (code, err.startswith("casas-ray: ") or "\ncasas-ray: " in err) == (3, True), err


@pytest.mark.parametrize("command", ["describe", "table", "evaluate", "probe", "sync", "audit"])
def test_what_is_no_run_is_one_line(run, no_file: Path, command: str):
    code, _, err = run(command, no_file)
    assert (code in (3, 4), err.count("casas-ray: ")) == (True, 1), err


@pytest.fixture(params=["a file", "below a file", "a device", "no room for files", "long"])
def no_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where nothing can be written, whoever tries."""
    file = tmp_path / "file"
    file.touch()
    return {
        "a file": file,
        "below a file": file / "x",
        "a device": Path("/dev/null"),
        "no room for files": Path("/proc/x"),
        "long": tmp_path / LONG_NAME,
    }[request.param]


def test_a_folder_that_takes_no_files_is_refused_before_anything_is_prepared(run, no_folder: Path):
    code, _, err = run(*TRAIN, "--output-dir", no_folder)
    # A name that no folder can have, a place that takes no files, somebody else's file.
    assert code in (2, 4, 8), err
    assert (err.startswith("casas-ray: "), len(err.splitlines())) == (True, 2), err


def test_a_data_folder_that_takes_no_files_is_one_line(
    run, no_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(no_folder))
    for words in (TRAIN, ["simulate", "milan", "--days", "3"], ["prepare", "milan", "--simulated"]):
        code, _, err = run(*words)
        assert code in (2, 4, 8), err
        assert (err.splitlines()[-2].startswith("casas-ray: "), "Traceback" in err) == (True, False)
    assert run("homes")[0] in (0, 4)


def test_the_home_of_nobody_is_no_data_folder(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASAS_RAY_DATA", "~nobodyatall/x")
    code, _, err = run("homes")
    assert (code, "CASAS_RAY_DATA=~nobodyatall/x" in err) == (4, True), err


def test_a_name_too_long_for_a_folder_is_refused(run):
    for words in (["--name", LONG_NAME], [f"data.homes={LONG_NAME}"]):
        code, _, err = run(*TRAIN, *words)
        assert code in (3, 8), err


STUDIES = {
    "raises": "raise RuntimeError('on purpose')",
    "raises its own kind": "class Odd(BaseException): ...\nraise Odd",
    "exits": "import sys\nsys.exit(0)",
    "exits without a word": "raise SystemExit",
    "goes down for ever": "def f(): f()\nf()",
    "is no Python": "def",
    "holds a zero": "x = '\0'",
    "asserts": "assert False",
    "divides by zero": "1 / 0",
}


@pytest.mark.parametrize("text", STUDIES.values(), ids=STUDIES)
def test_a_study_that_cannot_be_read_is_one_line(run, tmp_path: Path, text: str):
    path = tmp_path / "odd.py"
    path.write_text(text)
    for command in ("plan", "tune"):
        code, _, err = run(command, path)
        assert (code, err.count("casas-ray: "), "odd.py" in err) == (2, 1, True), err


def test_a_study_that_is_not_utf_8_is_one_line(run, tmp_path: Path):
    path = tmp_path / "odd.py"
    path.write_bytes(b"x = '\xff'\n")
    code, _, err = run("plan", path)
    assert (code, "odd.py" in err) == (2, True), err


@pytest.mark.parametrize("seeds", ["3", "('a',)", "None"])
def test_a_study_whose_seeds_are_none_is_one_line(run, study: Path, seeds: str):
    study.write_text(study.read_text().replace("seeds=(0, 1)", f"seeds={seeds}"))
    code, _, err = run("plan", study)
    assert (code, err.count("casas-ray: ")) == (2, 1), err


def test_a_study_that_is_refused_for_what_it_declares_is_named_by_its_file(run, study: Path):
    study.write_text(study.read_text().replace("seeds=(0, 1)", "seeds=(0, 0)"))
    code, _, err = run("plan", study)
    assert (code, f"{study}: the study: seed '0' is there twice" in err) == (2, True), err


def test_a_study_that_lacks_a_trial_is_told_how_it_goes_on(run, study: Path, tmp_path: Path):
    words = [study, "--machine", "debug", "--no-wandb", "--output-dir", tmp_path / "all"]
    run("tune", *words)
    (tmp_path / "all" / "base-seed1" / "ledger.jsonl").unlink()
    code, _, err = run("table", tmp_path / "all")
    assert (code, "1 missing" in err, "trains what is missing" in err) == (5, True, True), err


def test_a_study_that_never_ends_is_given_up(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "endless.py"
    path.write_text("while True:\n    try:\n        pass\n    except Exception:\n        pass\n")
    monkeypatch.setattr("casas_ray.catalog._SECONDS_TO_READ", 0.5)
    code, _, err = run("plan", path)
    assert (code, "does it loop?" in err) == (2, True), err


def test_a_starting_point_that_raises_is_one_line(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "tune_spaces").mkdir()
    (tmp_path / "tune_spaces" / "bases.py").write_text("def mine(size):\n    return size\n")
    monkeypatch.chdir(tmp_path)
    code, _, err = run("train", "mine", "--machine", "debug")
    assert (code, "bases.py" in err) == (2, True), err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = ", b"address = 5", None])
def test_a_machine_or_home_that_cannot_be_read_is_one_line(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
):
    for drawer in ("cluster", "data/homes"):
        path = tmp_path / drawer / "odd.toml"
        path.parent.mkdir(parents=True)
        path.mkdir() if content is None else path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for words, wanted in ((["train", "--machine", "odd"], 2), (["simulate", "odd"], 3)):
        code, _, err = run(*words)
        assert code == wanted, err
        assert (err.count("casas-ray: "), err.count("hint: ")) == (1, 1), err


def test_q_in_a_debugger_ends_a_command_with_130(tmp_path: Path):
    path = tmp_path / "looked_into.py"
    path.write_text("breakpoint()\n")
    command = [sys.executable, "-m", "casas_ray", "plan", str(path)]
    ended = subprocess.run(command, input="q\n", capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert "casas-ray: interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr


_INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

MODULE = sys.argv[1]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from casas_ray.cli import main
sys.argv[:] = ["casas-ray", "studies"]
main()
"""


@pytest.mark.parametrize("module", ["typer", "casas_ray.cli.data", "casas_ray.catalog"])
def test_ctrl_c_while_a_command_is_still_loading_is_one_line(module: str):
    command = [sys.executable, "-c", _INTERRUPTED_WHILE_LOADING, module]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr == "casas-ray: interrupted; nothing had begun.\n"


def test_values_of_another_kind_in_a_configuration_are_one_line(run, tmp_path: Path):
    path = tmp_path / "flat.json"
    for text in (
        '{"adaptive_mask": true, "mask_prob": "x"}',
        '{"use_hard_negatives": true, "hard_negative_memory_size": "x"}',
        '{"epochs": [1]}',
        '{"seed": 99999999999999999999999}',
        "[" * 100_000,
    ):
        path.write_text(text)
        code, _, err = run("config", path)
        assert (code in (2, 3), err.count("casas-ray: ")) == (True, 1), (text[:60], err)
