"""The door for names and paths from files, and what is taken from the current folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from casas_ray.corpus.homes import load_home
from casas_ray.corpus.inventory import set_folder
from casas_ray.errors import CasasError, RefusedError
from casas_ray.paths import aligned, safe_path
from casas_ray.records.study_record import read_study

ROOT = Path(__file__).parents[1]
PWNED = "import pathlib; pathlib.Path({!r}).touch()\n"


@pytest.mark.parametrize("path", ["milan/data", "tulum2009/data.txt", "hh 101 (new)/ann.txt"])
def test_a_path_below_its_folder_is_let_through(path: str):
    assert safe_path(path, what="log") == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/./b",
        "a//b",
        "a/",
        "~/x",
        "a\\..\\b",
        "a\nb",
        "a\0",
    ],
)
def test_a_path_that_leads_out_is_refused(path: str):
    with pytest.raises(RefusedError):
        safe_path(path, what="log")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('home = "../../../x"', 8),
        ('home = "other"', 3),
        ('home = "evil"\nlog_in_archive = "../../out"', 8),
        ('home = "evil"\nlog_in_archive = "/etc/cron.d/x"', 8),
        ('home = "evil"\narchive = "file:///etc/passwd"', 8),
    ],
)
def test_a_home_that_leads_out_of_its_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int
):
    monkeypatch.chdir(tmp_path)
    homes = tmp_path / "data" / "homes"
    homes.mkdir(parents=True)
    (homes / "evil.toml").write_text(line + "\n[sensors]\n")
    with pytest.raises(CasasError, match=r"evil\.toml") as caught:
        load_home("evil")
    assert caught.value.exit_code == code


def test_a_study_whose_trials_lie_elsewhere_is_refused(tmp_path: Path):
    about = {"study": "s", "question": "?", "homes": [], "quick": False, "caveats": []}
    about["trials"] = [["base", 0, "../../elsewhere"]]
    (tmp_path / "study.json").write_text(json.dumps(about))
    with pytest.raises(RefusedError, match="would leave its folder"):
        read_study(tmp_path)


def test_a_fingerprint_is_no_pattern(small_set):
    assert set_folder(small_set.fingerprint) == small_set.folder
    assert aligned().is_dir()
    for pattern in ("*", "../*", "?" * 12, small_set.fingerprint[:12]):
        assert set_folder(pattern) is None


def casas_ray(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "casas_ray", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path):
    for name in ("pyarrow", "numpy", "rich", "pydantic", "json5"):
        (tmp_path / f"{name}.py").write_text(PWNED.format(str(tmp_path / "pwned")))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text(PWNED.format(str(tmp_path / "pwned")))
    ended = casas_ray(tmp_path, "prepare", "milan", "--simulated", "data.simulate.days=4")
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "pwned").exists()


def test_a_machine_of_the_current_folder_is_said_aloud(tmp_path: Path):
    (tmp_path / "cluster").mkdir()
    shutil.copy(ROOT / "cluster" / "laptop.toml", tmp_path / "cluster" / "laptop.toml")
    (tmp_path / "cluster" / "mine.toml").write_text("workers = 1\n")
    ended = casas_ray(tmp_path, "submit", "--machine", "laptop", "--", "plan", "x")
    said = "casas-ray: cluster/laptop.toml of the current folder is taken, not the installed one."
    assert ended.stderr.count(said) == 1
    ended = casas_ray(tmp_path, "submit", "--machine", "mine", "--", "plan", "x")
    assert "of the current folder" not in ended.stderr  # it hides nothing, and was asked for


def test_code_of_the_current_folder_is_run_only_when_named_and_that_is_said(tmp_path: Path):
    drawer, pwned = tmp_path / "tune_spaces", tmp_path / "pwned"
    drawer.mkdir()
    base = "from casas_ray.config import Recipe\n"
    base += "def mine():\n    return Recipe(name='mine')\n"
    base += "def recommended():\n    return Recipe(name='recommended')\n"
    (drawer / "bases.py").write_text(PWNED.format(str(pwned)) + base)
    (drawer / "other.py").write_text(PWNED.format(str(pwned)))
    for words in (["plan", "nothing"], ["plan", "milan_ablation_mlm"], ["config", "milan_tiny"]):
        ended = casas_ray(tmp_path, *words)
        assert "running" not in ended.stderr
        assert not pwned.exists(), words
    ended = casas_ray(tmp_path, "train", "optim.batch_size=0")  # `recommended`, but nobody said so
    assert ended.returncode == 2
    assert not pwned.exists()
    ended = casas_ray(tmp_path, "config", "mine")
    assert ended.returncode == 0
    assert ended.stderr == (
        "casas-ray: running tune_spaces/bases.py of the current folder, not the installed one.\n"
    )
    assert pwned.exists()
