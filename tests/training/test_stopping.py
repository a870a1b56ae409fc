"""Trainings that are asked to stop: by a signal, twice, or from a debugger."""

import io
import itertools
import os
import pdb
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.gate import Gates
from support.ledgers import rows_of, weights
from support.recipes import WORDS
from support.waiting import LONG

from casas_ray.config import Recipe
from casas_ray.loader.loader import Loader
from casas_ray.records import checkpoints
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore
from casas_ray.training.context import WorkerContext
from casas_ray.training.loop import train, train_to_the_end
from casas_ray.training.recorder import RunRecorder

TRAINING = "milan_baseline-seed0"


def asked_from(look: int) -> Callable[[], bool]:
    """True from this look on; it is looked once before each step."""
    looks = itertools.count()
    return lambda: next(looks) >= look


def recorder(folder: Path, is_asked: Callable[[], bool]) -> RunRecorder:
    return RunRecorder(FolderStore(folder), WorkerContext(is_asked_to_stop=is_asked), log_every=3)


@pytest.mark.parametrize(
    "changes", [{}, {"optim.ema_decay": 0.9, "loss.bank_size": 64, "loss.bank_hardest": 8}]
)
def test_a_run_stopped_again_and_again_is_the_run_that_never_stopped(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader, changes: dict
):
    recipe = small_recipe.replace(changes)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    train(recorder(whole, lambda: False), recipe, small_loader)
    for steps in (0, 1, 4, 13):  # stops at steps 0, 1, 5 and 18, where it validates
        train(recorder(stopped, asked_from(steps)), recipe, small_loader)
        assert RunResult.read(stopped).status == "stopped"
    train(recorder(stopped, lambda: False), recipe, small_loader)
    stops = [("checkpoint", 1), ("checkpoint", 5)]
    rows = [row for row in rows_of(stopped) if (row["event"], row["step"]) not in stops]
    assert rows == rows_of(whole)
    first, second = weights(whole), weights(stopped)
    assert all((first[name] == second[name]).all() for name in first)


def test_a_run_asked_to_stop_leaves_a_checkpoint_of_its_step(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    train_to_the_end(recorder(tmp_path, asked_from(7)), small_recipe, lambda: small_loader)
    last = checkpoints.latest(tmp_path)
    assert last is not None
    assert last.name == "step-00000007"
    result = RunResult.read(tmp_path)
    assert (result.status, result.error, result.step) == ("stopped", "asked to stop", 7)


def test_q_in_a_debugger_is_a_wish_to_stop_and_the_ledger_says_so(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    def opened() -> Loader:
        pdb.Pdb(stdin=io.StringIO("q\n"), stdout=io.StringIO()).set_trace()
        return small_loader

    with pytest.raises(KeyboardInterrupt):
        train_to_the_end(RunRecorder(FolderStore(tmp_path)), small_recipe, opened)
    assert RunResult.read(tmp_path).status == "stopped"


def training(folder: Path, text_model: str, gates: Gates) -> subprocess.Popen:
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "--no-wandb"]
    words += ["--machine", "debug", "--output-dir", str(folder)]
    command = [sys.executable, "-m", "casas_ray", *words]
    environment = {**os.environ, **gates.environment()}
    source = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{source}"
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "told to end"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_ends_the_step_and_the_same_command_goes_on(
    tmp_path: Path, text_model: str, gates: Gates, number: int, code: int, word: str
):
    gates.hold(TRAINING, step=5)
    process = training(tmp_path / "run", text_model, gates)
    gates.wait_for(TRAINING, driver=process)
    process.send_signal(number)
    gates.let_go(TRAINING)
    _, err = process.communicate(timeout=LONG)
    result = RunResult.read(tmp_path / "run")
    assert process.returncode == code, err
    assert word in err
    assert "Traceback" not in err
    assert (result.status, result.error) == ("stopped", "asked to stop")
    assert (tmp_path / "run" / "checkpoints" / f"step-{result.step:08d}").is_dir()
    assert training(tmp_path / "run", text_model, gates).wait(timeout=LONG) == 0
    assert RunResult.read(tmp_path / "run").step == 36


@pytest.mark.faults
@pytest.mark.slow
def test_a_second_signal_ends_a_training_in_the_middle_of_its_step(
    tmp_path: Path, text_model: str, gates: Gates
):
    gates.hold(TRAINING, step=5)
    process = training(tmp_path / "run", text_model, gates)
    gates.wait_for(TRAINING, driver=process)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    next(line for line in process.stderr if "a second signal ends at once" in line)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG)
    gates.let_go(TRAINING)
    assert process.returncode == 143
    assert RunResult.read(tmp_path / "run").error == "interrupted"
