"""ASHA over a study: what it knows is in the ledgers, and who it stopped stays stopped."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.recipes import SMALL
from support.studies import study_on_disk

from casas_ray.cli.results import show_study
from casas_ray.errors import SomeFailed
from casas_ray.records.ledger import Ledger
from casas_ray.records.run_record import unsettled
from casas_ray.records.run_result import PRUNED, RunResult
from casas_ray.run.halving import halving


def decision(folder: Path, value: float) -> str:
    """What is decided of a trial that comes to a value at the first look."""
    scheduler = halving(16, folder, [])
    trial = SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    made = scheduler.on_trial_result(None, trial, {"step": 16, "val/recall_mean": value})
    assert scheduler.was_pruned("new") == (made == "STOP")
    return made


def test_a_trial_is_judged_by_all_that_earlier_commands_saw(tmp_path: Path):
    study_on_disk(tmp_path / "x-1", {"base": [0.3, 0.5], "a": [0.4, 0.6]})
    # Beside four others: only the best third goes on.
    assert decision(tmp_path / "x-1", 0.01) == "STOP"
    assert decision(tmp_path / "x-1", 0.9) == "CONTINUE"
    # Beside nobody everybody does.
    (tmp_path / "empty").mkdir()
    assert decision(tmp_path / "empty", 0.01) == "CONTINUE"


def test_a_pruned_trial_is_settled_and_no_failure(tmp_path: Path, capsys):
    record = study_on_disk(tmp_path / "x-1", {"base": [0.3, 0.5], "a": [0.4, 0.6]})
    for seed in (0, 1):
        ledger = record.folder / f"a-seed{seed}" / "ledger.jsonl"
        ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:-1]))
    Ledger(record.folder / "a-seed0").append("end", 50, status="stopped", error=PRUNED)
    Ledger(record.folder / "a-seed1").append("end", 50, status="stopped", error="asked to stop")
    results = [RunResult.read(record.folder / f"a-seed{seed}") for seed in (0, 1)]
    assert [run.status for run in results] == ["pruned", "stopped"]
    assert unsettled(results) == [1]  # of a result, as of a record, the folder is asked
    with pytest.raises(SomeFailed, match=r"1 of 4 trials did not finish: 1 stopped\."):
        show_study(record, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["arms"][1]["statuses"] == {"pruned": 1, "stopped": 1}


@pytest.mark.slow
def test_through_ray_a_trial_that_does_worse_is_stopped_and_not_taken_up_again(
    run, tmp_path: Path, text_model: str, data_root: Path, monkeypatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    base = {**SMALL, "text.model": text_model, "optim.epochs": 4}
    study = tmp_path / "halved.py"
    study.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({base!r})\n"
        "STUDY = Study(question='Who stays?', base=BASE, seeds=(0,),\n"
        "    arms=each('optim.learning_rate', [1e-9, 2e-9]))\n"
    )
    words = ("--scheduler", "asha", "--no-wandb", "--json", "machine.concurrent_trials=1")
    code, out, err = run("tune", study, *words)
    assert code == 0, err
    statuses = {row["arm"]: row["statuses"] for row in json.loads(out)["arms"]}
    assert statuses == {
        "base": {"finished": 1},
        "learning_rate=1e-9": {"pruned": 1},
        "learning_rate=2e-9": {"pruned": 1},
    }
    code, out, err = run("tune", study, *words)
    assert code == 0, err
    assert "3 of 3 trials ended before" in err
