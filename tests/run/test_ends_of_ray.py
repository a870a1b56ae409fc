"""Real ends of a Ray that a command starts itself: signals, and kills of what it stands on."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.gate import Gates
from support.ledgers import rows_of, weights
from support.processes import running
from support.recipes import WORDS
from support.waiting import LONG, wait_until

from casas_ray.records.run_result import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.faults]
TRAINING, TRIALS = "milan_baseline-seed0", "small-seed0"
GCS, RAYLET, TRIAL = "gcs_server", "raylet/raylet", "^ray::ImplicitFunc"

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"CASAS_RAY_TEST={tmp_path}"


@pytest.fixture
def start(mark: str, gates: Gates, tmp_path: Path) -> Iterator[Start]:
    """Starts a command whose Ray is its own, and which the gates hold; none outlives its test."""
    name, _, value = mark.partition("=")
    source = str(Path(__file__).parents[2])

    def started(*words: object) -> subprocess.Popen:
        environment = {**os.environ, **gates.environment(), name: value}
        environment.pop("RAY_ADDRESS", None)
        environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{source}"
        command = [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]
        with (tmp_path / "err").open("w") as err, (tmp_path / "out").open("w") as out:
            return subprocess.Popen(command, env=environment, stdout=out, stderr=err)

    yield started
    for pid in running(mark):  # of a test that failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def words_of(folder: Path, text_model: str, *more: object) -> list[object]:
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "--no-wandb"]
    return [*words, "--output-dir", folder, *more]


def ended(process: subprocess.Popen, tmp_path: Path, mark: str) -> str:
    """What a command said beside its output; nothing of it is left."""
    process.wait(timeout=LONG)
    wait_until(lambda: not running(mark))
    err = (tmp_path / "err").read_text()
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_a_trainer_after_its_step_and_the_run_goes_on_exactly(
    start: Start, tmp_path: Path, text_model: str, gates: Gates, mark: str, workers: int
):
    folder, whole = tmp_path / "run", tmp_path / "whole"
    gates.hold(TRAINING, step=20)
    process = start(*words_of(folder, text_model, f"machine.workers={workers}"))
    gates.wait_for(TRAINING, processes=workers, driver=process)
    process.send_signal(signal.SIGTERM)
    gates.let_go_when_asked(TRAINING)
    err = ended(process, tmp_path, mark)
    gates.let_go(TRAINING)
    assert process.returncode == 143, err
    stopped = RunResult.read(folder)
    assert (stopped.status, stopped.error) == ("stopped", "asked to stop"), err
    assert (folder / "checkpoints" / f"step-{stopped.step:08d}").is_dir()
    if workers == 2:  # taken up by one, its numbers would differ in their last bits
        return
    for path in (folder, whole):
        assert start(*words_of(path, text_model, "--machine", "debug")).wait(timeout=LONG) == 0
    stop = ("checkpoint", stopped.step)
    rows = [row for row in rows_of(folder) if (row["event"], row["step"]) != stop]
    assert rows == rows_of(whole)
    first, second = weights(whole), weights(folder)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_a_study_and_no_trial_runs_on(
    start: Start, study: Path, tmp_path: Path, gates: Gates, mark: str, workers: int
):
    gates.hold(TRIALS, step=3)
    process = start("tune", study, "--no-wandb", "--fresh", f"machine.workers={workers}")
    gates.wait_for(TRIALS, processes=workers, driver=process)
    process.send_signal(signal.SIGTERM)
    gates.let_go_when_asked(TRIALS)
    err = ended(process, tmp_path, mark)
    gates.let_go(TRIALS)
    assert process.returncode == 143, err
    found = statuses()
    assert found["base-seed0"] == "stopped"
    assert "running" not in found.values()


def statuses() -> dict[str, str]:
    """By trial, of the study that began last."""
    return {
        path.parent.name: RunResult.read(path.parent).status
        for path in newest_study().glob("*/run.json")
    }


def newest_study() -> Path:
    runs = Path(os.environ["CASAS_RAY_DATA"]) / "runs"
    return max(runs.glob("*/study.json"), key=lambda path: path.stat().st_mtime).parent


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_second_signal_ends_at_once_and_leaves_nothing(
    start: Start, tmp_path: Path, text_model: str, gates: Gates, mark: str, number: int, code: int
):
    gates.hold(TRAINING, step=5)
    process = start(*words_of(tmp_path / "run", text_model))
    gates.wait_for(TRAINING, driver=process)
    process.send_signal(number)
    heard = "a second signal ends at once"
    wait_until(lambda: heard in (tmp_path / "err").read_text(), process=process)
    process.send_signal(number)
    err = ended(process, tmp_path, mark)
    gates.let_go(TRAINING)
    assert process.returncode == code, err
    assert RunResult.read(tmp_path / "run").status == "stopped"


@pytest.mark.parametrize("victim", [RAYLET, GCS], ids=["raylet", "gcs"])
@pytest.mark.parametrize("seat", ["trainer", "tune"])
def test_a_ray_that_dies_is_exit_7_and_leaves_nothing(
    start: Start,
    study: Path,
    tmp_path: Path,
    text_model: str,
    gates: Gates,
    mark: str,
    victim: str,
    seat: str,
):
    name = TRAINING if seat == "trainer" else TRIALS
    trainer = words_of(tmp_path / "run", text_model)
    words = trainer if seat == "trainer" else ["tune", study, "--no-wandb", "--fresh"]
    gates.hold(name, step=3)
    process = start(*words)
    gates.wait_for(name, driver=process)
    (pid,) = running(mark, victim)
    os.kill(pid, signal.SIGKILL)
    err = ended(process, tmp_path, mark)
    gates.let_go(name)
    assert process.returncode == 7, err
    assert "Ray at this machine went away" in err
    found = statuses() if seat == "tune" else {"": RunResult.read(tmp_path / "run").status}
    assert "stopped" in found.values()
    assert "running" not in found.values()


def test_a_killed_trial_is_begun_again_as_often_as_the_machine_says(
    start: Start, study: Path, tmp_path: Path, gates: Gates, mark: str
):
    study.write_text(study.read_text().replace("seeds=(0, 1)", "seeds=(0,)"))
    words = ["tune", study, "--no-wandb", "--fresh", "--json", "machine.max_failures=1"]
    for deaths, status in ((1, "finished"), (2, "failed")):
        gates.hold(TRIALS, step=3)
        process = start(*words, "machine.concurrent_trials=1")
        killed: set[int] = set()
        for _ in range(deaths):
            wait_until(lambda: bool(held_by(gates) - killed), process=process)  # noqa: B023
            (victim,) = held_by(gates) - killed
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        gates.let_go(TRIALS)
        err = ended(process, tmp_path, mark)
        table = json.loads((tmp_path / "out").read_text())
        assert table["arms"][0]["statuses"] == {status: 1}, err
        assert "died; it goes on from its last checkpoint" in err
        assert process.returncode == (5 if status == "finished" else 6), err


def test_a_recorder_that_is_killed_is_begun_again_and_nothing_is_lost(
    start: Start, study: Path, tmp_path: Path, gates: Gates, mark: str
):
    study.write_text(study.read_text().replace("'optim.epochs': 1", "'optim.epochs': 2"))
    words = ["tune", study, "--no-wandb", "--fresh", "--json"]
    gates.hold(TRIALS, step=20)  # the checkpoint of the first epoch is behind it
    process = start(*words, "machine.concurrent_trials=1")
    gates.wait_for(TRIALS, driver=process)
    (pid,) = running(mark, "^ray::Recorder")
    os.kill(pid, signal.SIGKILL)
    gates.let_go(TRIALS)
    err = ended(process, tmp_path, mark)
    assert process.returncode == 5, err
    apart = newest_study()
    starts = [
        json.loads(line)["step"]
        for line in (apart / "base-seed0" / "ledger.jsonl").read_text().splitlines()
        if json.loads(line)["event"] == "start"
    ]
    assert starts == [0, 18]
    assert start(*words, "--machine", "debug").wait(timeout=LONG) == 5
    together = newest_study()
    assert together != apart
    for name in ("base-seed0", "base-seed1"):
        assert rows_of(apart / name) == rows_of(together / name)


def held_by(gates: Gates) -> set[int]:
    """The processes that are, or were, held."""
    return {int(mark.name.split(".")[1]) for mark in gates.folder.glob(f"{TRIALS}.*.held")}


def test_a_run_folder_deleted_in_the_middle_is_one_line(
    start: Start, tmp_path: Path, text_model: str, gates: Gates, mark: str
):
    for seat, code in (("debug", 4), ("laptop", 6)):
        folder = tmp_path / seat
        gates.hold(TRAINING, step=3)
        process = start(*words_of(folder, text_model, "--machine", seat, "machine.max_failures=0"))
        gates.wait_for(TRAINING, driver=process)
        shutil.rmtree(folder)
        gates.let_go(TRAINING)
        err = ended(process, tmp_path, mark)
        assert process.returncode == code, err
        assert err.count("casas-ray: ") == 1, err
