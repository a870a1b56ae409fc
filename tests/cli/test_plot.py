"""`casas-ray plot` as a user types it."""

import json
import sys
from pathlib import Path

import pytest

from casas_ray.records.ledger import read_rows


def test_curves_of_a_study_and_of_a_run_are_drawn_and_quick_ones_have_training_rows(
    run, study: Path, tmp_path: Path, monkeypatch
):
    pytest.importorskip("matplotlib")
    code, out, _ = run("tune", study, "--machine", "debug", "--no-wandb", "--json")
    assert code == 5  # an arm diverges, as it must
    folder = Path(json.loads(out)["folder"])
    code, out, _ = run("plot", folder)
    assert code == 0
    assert "curves.png" in out
    page = (folder / "curves.html").read_text()
    assert "SIMULATED home" in page
    assert "2 diverged" in page
    code, out, _ = run("plot", folder / "base-seed0", "--output-dir", tmp_path / "new", "--json")
    assert code == 0
    assert json.loads(out)["png"] == str(tmp_path / "new" / "curves.png")
    assert (tmp_path / "new" / "curves.png").stat().st_size > 10_000


def test_a_quick_run_records_its_training_every_few_steps(run, tmp_path: Path, text_model: str):
    words = ["train", "milan_tiny", "--quick", "--simulated", f"text.model={text_model}"]
    words += ["optim.epochs=1", "optim.batch_size=16", "--machine", "debug", "--no-wandb"]
    folder = tmp_path / "run"
    code, _, err = run(*words, "data.simulate.days=3", "--output-dir", folder)
    assert code == 0, err
    steps = [
        row["step"] for row in read_rows(folder) if "train/clip_loss" in row.get("metrics", {})
    ]
    assert steps[:3] == [5, 10, 15]
    folder = tmp_path / "as_told"
    more = ["data.simulate.days=3", "tracking.log_every=7", "--output-dir", folder]
    code, _, err = run(*words, *more)
    assert code == 0, err
    steps = [
        row["step"] for row in read_rows(folder) if "train/clip_loss" in row.get("metrics", {})
    ]
    assert steps[:2] == [7, 14]


def test_what_cannot_be_drawn_is_one_line(run, tmp_path: Path, monkeypatch):
    assert run("plot", tmp_path)[0] == 3
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    from casas_ray.config import Recipe, Tracking
    from casas_ray.records.ledger import Ledger
    from casas_ray.records.run_record import RunRecord

    folder = tmp_path / "run"
    RunRecord("run", folder, Recipe(), Tracking()).write()
    code, _, err = run("plot", folder)
    assert (code, "has a metric yet" in err) == (3, True)
    Ledger(folder).append("metrics", 0, metrics={"val/recall_mean": 0.1})
    code, _, err = run("plot", folder)
    assert (code, "pip install 'casas-ray[plot]'" in err) == (4, True)
