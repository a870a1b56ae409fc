"""The driver of a study killed again and again, at random moments: what the study says is what it
says undisturbed, and nothing is left of any of its processes."""

import json
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from support.commands import Commands
from support.recipes import SMALL
from support.tables import assert_same_study
from support.waiting import wait_until

from casas_ray.records.ledger import rows_of
from casas_ray.records.run_result import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.faults]

KILLS = 20 if os.environ.get("CASAS_RAY_FAULTS") == "long" else 3
"""In a row; the long form is `make test-faults`."""


@pytest.fixture
def study(tmp_path: Path, text_model: str) -> Path:
    """Twelve trials: the fewest with a verdict."""
    path = tmp_path / "killed.py"
    changes = {**SMALL, "text.model": text_model, "optim.epochs": 1, "optim.validate_every": 9}
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({changes!r})\n"
        "STUDY = Study(question='Slower?', base=BASE, seeds=range(6),\n"
        "    arms=each('optim.learning_rate', [1e-4]))\n"
    )
    return path


def test_a_study_whose_driver_is_killed_again_and_again_says_the_same(
    words: Commands, study: Path, tmp_path: Path
):
    line = ["tune", study, "--no-wandb", "--json", "tracking.log_every=5"]
    assert words.run(*line, "--machine", "debug") == 0, words.err
    undisturbed = Path(json.loads(words.out)["folder"])
    folder = tmp_path / "disturbed"
    line += ["--output-dir", folder]
    rng = random.Random(0)
    ends: dict[str, int] = {}
    for _ in range(KILLS):
        process = words.start(*line)
        wanted = count_rows(folder) + rng.randrange(1, 8)
        wait_until(lambda: count_rows(folder) >= wanted, process=process)  # noqa: B023
        kill(process)
        words.end(process)
        for name, row in ends.items():  # who had finished is not trained again
            assert RunResult.read(folder / name).rows[-1]["time"] == row
        ends = finished(folder)
    assert words.run(*line) == 0, words.err
    assert json.loads(words.out)["arms"][1]["verdict"] != ""
    assert_same_study(folder, undisturbed)
    assert lost_steps(folder) <= 9


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)


def count_rows(study: Path) -> int:
    return sum(len(rows_of(path)) for path in study.glob("*/ledger.jsonl"))


def finished(study: Path) -> dict[str, int]:
    """When each finished trial ended, by its name."""
    runs = [RunResult.read(path.parent) for path in study.glob("*/ledger.jsonl")]
    return {run.folder.name: run.rows[-1]["time"] for run in runs if run.status == "finished"}


def lost_steps(study: Path) -> int:
    """The most steps that a trial did twice at once."""
    most = 0
    for path in study.glob("*/ledger.jsonl"):
        last = 0
        for row in rows_of(path):
            if row["event"] == "start":
                most = max(most, last - row["step"])
            last = row["step"]
    return most
