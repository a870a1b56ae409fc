"""Two runs or studies side by side: what differs, what was earned, and what cannot be compared."""

import json
from pathlib import Path

import pytest
from support.studies import FAILED, study_on_disk

from casas_ray.records.ledger import Ledger
from casas_ray.report.side_by_side import Difference, SideBySide, read_side, side_by_side

VALUES = {"base": [0.30, 0.32], "wide": [0.35, 0.36]}


def compared(left: Path, right: Path) -> SideBySide:
    return side_by_side(read_side(left), read_side(right))


def test_a_study_beside_itself_differs_in_nothing(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    found = compared(tmp_path / "one-1", tmp_path / "one-1")
    assert not found.differences
    assert found.same == ["settings", "code", "data", "environment", "seeds", "arms", "ends"]
    assert [each.change.mean for each in found.earned if each.change] == [0.0, 0.0]


def test_a_setting_of_all_arms_is_told_once_and_one_of_an_arm_by_its_name(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    for_all = {"optim.epochs": 9}
    changes = {"base": for_all, "wide": for_all | {"model.width": 384}}
    study_on_disk(tmp_path / "one-2", VALUES, changes=changes)
    found = compared(tmp_path / "one-1", tmp_path / "one-2").differences
    assert [(each.group, each.what, each.right) for each in found] == [
        ("settings", "optim.epochs", "9"),
        ("settings", "model.width (wide)", "384"),
    ]


def test_the_change_is_of_the_seeds_that_both_have(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", {"base": [0.30, 0.32, 0.50]})
    study_on_disk(tmp_path / "one-2", {"base": [0.31, 0.35]})
    found = compared(tmp_path / "one-1", tmp_path / "one-2")
    (base,) = found.earned
    assert base.change is not None
    assert (round(base.change.mean, 9), base.change.count) == (0.02, 2)
    assert Difference("seeds", "seeds", "0, 1, 2", "0, 1") in found.differences


def test_arms_that_only_one_side_has_are_shown_without_a_change(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    study_on_disk(tmp_path / "one-2", {"base": [0.30, FAILED], "deep": [0.1, 0.2]})
    found = compared(tmp_path / "one-1", tmp_path / "one-2")
    assert [(each.arm, each.change is None) for each in found.earned] == [
        ("base", False),
        ("wide", True),
        ("deep", True),
    ]
    assert Difference("ends", "ends", "4 finished", "1 diverged, 3 finished") in found.differences


def test_what_was_ranked_in_another_gallery_has_no_change(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", {"base": [0.30]})
    study_on_disk(tmp_path / "one-2", {"base": [0.31]})
    # A later start on another set, as a resume by hand would leave it.
    info = {"fingerprint": "e" * 12, "recipe": {"optim.epochs": 1}}
    Ledger(tmp_path / "one-2" / "base-seed0").append("start", 100, info=info)
    found = compared(tmp_path / "one-1", tmp_path / "one-2")
    assert not found.is_comparable
    assert found.earned[0].change is None
    assert "data" not in found.same


def test_code_that_nobody_knows_is_not_called_the_same(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", {"base": [0.30]})
    Ledger(tmp_path / "one-1" / "base-seed0").append("start", 100, info={"git_commit": "unknown"})
    found = compared(tmp_path / "one-1", tmp_path / "one-1")
    assert "code" not in found.same


@pytest.mark.parametrize("columns", [60, 120])
def test_the_command_shows_both_sides_and_json_holds_the_curves(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
):
    monkeypatch.setenv("COLUMNS", str(columns))
    study_on_disk(tmp_path / "one-1", VALUES)
    study_on_disk(tmp_path / "one-2", VALUES, changes={"base": {"optim.epochs": 9}})
    code, out, _ = run("compare", tmp_path / "one-1", tmp_path / "one-2")
    assert code == 0
    for said in ("optim.epochs (base)", "SIMULATED home", "No verdict", "The same on both sides"):
        assert said in out
    code, out, _ = run("compare", tmp_path / "one-1", tmp_path / "one-2", "--json")
    told = json.loads(out)
    assert told["curves"]["wide"][-1] == [100, pytest.approx(0.355), pytest.approx(0.355)]


def test_what_is_no_run_is_one_line(run, tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    code, _, err = run("compare", tmp_path / "one-1", tmp_path / "nowhere")
    assert (code, "nowhere" in err) == (3, True), err


def test_a_run_of_no_study_compares_with_a_studys_base(run, study: Path, tmp_path: Path):
    words = ["--machine", "debug", "--no-wandb", "--output-dir"]
    run("tune", study, *words, tmp_path / "all")
    found = compared(tmp_path / "all" / "base-seed0", tmp_path / "all" / "base-seed1")
    assert [each.group for each in found.differences] == ["seeds"]
    assert [each.change for each in found.earned] == [None]  # no seed is on both sides
    assert compared(tmp_path / "all", tmp_path / "all" / "base-seed0").earned[0].change is not None
