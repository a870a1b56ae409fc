"""What is told of runs on disk: how they ended, and whether somebody is at work."""

import json
import time
from pathlib import Path

import pytest

from casas_ray.config import Recipe, Tracking
from casas_ray.records.ledger import Ledger
from casas_ray.records.lock import is_locked, locked
from casas_ray.records.on_disk import on_disk
from casas_ray.records.run_record import RunRecord
from casas_ray.records.study_folder import Asked, lay_out
from casas_ray.study import Study, each


@pytest.fixture
def laid_out(small_recipe: Recipe, small_set, tmp_path: Path, monkeypatch) -> Path:
    """A study's folder with a trial that finished, one at step 5, and two not begun."""
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path))
    arms = each("loss.mlm_weight", [0.1])
    study = Study(question="?", base=small_recipe, arms=arms, seeds=(0, 1), name="mine")
    record, runs = lay_out(Asked(study, Tracking(), [small_set] * 4))
    for run, end in ((runs[0], True), (runs[1], False)):
        ledger = Ledger(run.folder)
        recipe = {"optim.select_by": "val/recall_mean"}
        ledger.append("start", 0, info={"total_steps": 10, "recipe": recipe})
        ledger.append("metrics", 5, metrics={"val/recall_mean": 0.25, "val/total_loss": 2.0})
        ledger.append("checkpoint", 5, is_best=True)
        if end:
            ledger.append("end", 10, status="finished")
    return record.folder


def test_a_study_tells_of_every_trial(laid_out: Path):
    (held,) = on_disk(laid_out.parent)
    assert (held.study, held.folder, held.caveats) == ("mine", laid_out, ("SIMULATED home",))
    told = [(run.arm, run.seed, run.state, run.best, run.step, run.steps) for run in held.runs]
    assert told == [
        ("base", 0, "finished", 0.25, 10, 10),
        ("mlm_weight=0.1", 0, "killed", 0.25, 5, 10),
        ("base", 1, "not started", None, 0, 0),
        ("mlm_weight=0.1", 1, "not started", None, 0, 0),
    ]
    assert held.runs[0].age_seconds is not None
    assert 0 <= held.runs[0].age_seconds < 600
    assert held.runs[2].age_seconds is None


def test_a_run_that_somebody_works_on_is_running(laid_out: Path):
    with locked(laid_out):
        assert is_locked(laid_out)
        assert on_disk(laid_out)[0].runs[1].state == "running"
    assert not is_locked(laid_out)


def test_what_was_worked_on_last_stands_last_and_a_damaged_folder_is_left_out(
    laid_out: Path, small_recipe: Recipe, caplog
):
    for name, ago in (("old", 1000.0), ("new", -1000.0)):
        folder = laid_out.parent / name
        RunRecord(name, folder, small_recipe, Tracking()).write()
        row = {"event": "start", "step": 0, "time": time.time() - ago, "info": {}}
        (folder / "ledger.jsonl").write_text(json.dumps(row) + "\n")
    damaged = laid_out.parent / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    names = [held.folder.name for held in on_disk(laid_out.parent)]
    assert names == ["old", laid_out.name, "new"]
    assert "damaged" in caplog.text


def test_the_command_shows_them_and_gives_the_same_as_json(run, laid_out: Path):
    code, out, _ = run("runs")
    assert code == 0
    assert "killed" in out
    assert "5 of 10" in out
    assert "SIMULATED" in out
    code, out, _ = run("runs", laid_out, "--json")
    first = json.loads(out)[0]
    assert (first["study"], first["arm"], first["best"]) == ("mine", "base", 0.25)
    assert first["folder"] == str(laid_out / "base-seed0")


def test_where_nothing_was_trained_that_is_said(run, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path))
    assert run("runs", "--json")[:2] == (0, "[]\n")
    code, out, _ = run("runs")
    assert (code, "No run lies in" in out) == (0, True)
    assert run("runs", tmp_path / "nowhere")[0] == 3
