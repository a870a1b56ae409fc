"""Two runs are the same when all that is no clock is, and what a run did twice is counted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from casas_ray.records.ledger import Ledger
from casas_ray.report.same_runs import difference, resumes


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole_run, tmp_path / "copy")
    return tmp_path / "copy"


def edited(run: Path, change: Callable[[dict], None]) -> None:
    path = run / "ledger.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_clocks_and_paths_are_no_difference(whole_run: Path, copied: Path):
    def later(row: dict) -> None:
        row["time"] += 60.0
        if "train/samples_per_s" in row.get("metrics", {}):
            row["metrics"]["train/samples_per_s"] *= 2
        row.get("about", {}).pop("time", None)

    edited(copied, later)
    assert difference(copied, whole_run) == ""


def test_the_last_bit_of_a_metric_is_a_difference(whole_run: Path, copied: Path):
    def next_float(row: dict) -> None:
        if row["step"] == 18 and "val/total_loss" in row.get("metrics", {}):
            row["metrics"]["val/total_loss"] += 1e-15

    edited(copied, next_float)
    assert difference(copied, whole_run).startswith("val/total_loss at step 18 is ")


def test_a_bit_of_the_last_weights_is_a_difference(whole_run: Path, copied: Path):
    weights = copied / "checkpoints" / "step-00000036" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "the checkpoint of the end is damaged" in difference(copied, whole_run)


def test_a_run_that_stopped_early_lacks_what_the_other_has(whole_run: Path, copied: Path):
    path = copied / "ledger.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert difference(copied, whole_run) == "its end is missing"


def test_steps_done_twice_are_counted_at_each_start_after_the_first(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.append("start", 0, info={})
    ledger.append("metrics", 25, metrics={})
    ledger.append("start", 18, info={})
    ledger.append("metrics", 30, metrics={})
    ledger.append("checkpoint", 30, is_best=False)
    ledger.append("start", 30, info={})
    assert [(each.step, each.lost) for each in resumes(tmp_path)] == [(18, 7), (30, 0)]
