"""Crossed arms on ledgers written by hand, with effects that a person can add up."""

from pathlib import Path

import pytest

from casas_ray.records.ledger import Ledger
from casas_ray.records.run_result import RunResult
from casas_ray.report.effects import effects
from casas_ray.report.table import study_table

ARMS = {"base": (1, 10), "b=2": (2, 10), "c=20": (1, 20), "b=2+c=20": (2, 20)}


def run_of(folder: Path, value: float, settings: tuple[int, int], status: str = "finished"):
    ledger = Ledger(folder)
    recipe = {"a.b": settings[0], "a.c": settings[1], "a.d": "same", "seed": value}
    ledger.append("start", 0, info={"recipe": recipe})
    ledger.append("metrics", 9, metrics={"val/recall_mean": value, "val/gallery": 5.0})
    ledger.append("checkpoint", 9, is_best=True)
    ledger.append("end", 9, status=status)
    return RunResult.read(folder)


def results(folder: Path, values: dict[str, list[float]], arms=None) -> dict:
    return {
        (arm, seed): run_of(folder / f"{arm}-{seed}", value, (arms or ARMS)[arm])
        for arm, each in values.items()
        for seed, value in enumerate(each)
    }


GRID = {
    "base": [0.10, 0.20],
    "b=2": [0.20, 0.32],  # +0.10 and +0.12
    "c=20": [0.15, 0.25],  # +0.05 twice
    "b=2+c=20": [0.35, 0.49],  # +0.20 and +0.24 over c=20: 0.10 and 0.12 beyond the sum
}


def test_a_full_grid_has_main_effects_and_what_is_beyond_their_sum(tmp_path: Path):
    table = study_table(results(tmp_path, GRID))
    found = {effect.name: effect for effect in table.effects}
    assert list(found) == ["b 1 to 2", "c 10 to 20", "b 2 with c 20, beyond their sum"]
    means = [effect.mean for effect in table.effects]
    assert means == pytest.approx([(0.15 + 0.18) / 2, (0.10 + 0.11) / 2, 0.11])
    low, high = found["b 1 to 2"].interval
    assert (low + high) / 2 == pytest.approx(0.165)
    assert (high - low) / 2 == pytest.approx(12.706 * 0.0212132 / 2**0.5, rel=1e-3)
    assert table.as_dict()["effects"][2]["seeds"] == 2


def test_a_grid_that_lacks_the_base_is_one_and_arms_of_one_setting_each_are_none(tmp_path: Path):
    arms = {**ARMS, "base": (0, 0), "b=1": (1, 10)}
    values = {"base": [0.5, 0.5], "b=1": GRID["base"], **{n: GRID[n] for n in GRID if n != "base"}}
    found = effects(results(tmp_path / "a", values, arms), list(values))
    assert [effect.name for effect in found][:2] == ["b 1 to 2", "c 10 to 20"]
    lone = {name: GRID[name] for name in ("base", "b=2", "c=20")}
    assert effects(results(tmp_path / "b", lone), list(lone)) == []


def test_a_seed_that_lacks_an_arm_counts_in_no_effect(tmp_path: Path):
    runs = results(tmp_path, GRID)
    runs["b=2", 1] = run_of(tmp_path / "bad", 0.9, ARMS["b=2"], status="diverged")
    found = effects(runs, list(GRID))
    assert [(effect.seeds, effect.interval) for effect in found] == [(1, None)] * 3
    assert found[0].mean == pytest.approx(0.15)
