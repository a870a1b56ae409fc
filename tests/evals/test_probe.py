"""Linear probes and what stands beside them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals import probe as probe_module
from casas_ray.evals.judge import evaluate, probe_validation
from casas_ray.evals.probe import Split, counted, difference_over_days, f1_scores, majority, probe
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.loader.window_store import WindowStore
from casas_ray.training.validation import held_out


def split(seed: int, *, rows: int = 300, tells: bool = True) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.array(["Cook", "Read", "no_activity"])[rng.integers(3, size=rows)]
    vectors = rng.normal(size=(rows, 4))
    if tells:
        vectors[:, 0] += 4.0 * (labels == "Cook")
        vectors[:, 1] += 4.0 * (labels == "Read")
    return Split(vectors, labels, np.arange(rows) // 50)


def test_f1_is_what_scikit_learn_says():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    true = np.array(list("aaabbc"))[rng.integers(6, size=200)]
    guessed = np.array(list("abcd"))[rng.integers(4, size=200)]
    classes = sorted(set(true.tolist()))
    for average, name in (("macro", "macro_f1"), ("weighted", "weighted_f1")):
        wanted = f1_score(true, guessed, labels=classes, average=average, zero_division=0)
        assert f1_scores(true, guessed)[name] == pytest.approx(wanted)


def test_a_probe_finds_what_vectors_tell_and_nothing_where_they_do_not():
    telling = {name: split(place) for place, name in enumerate(("train", "val", "test"))}
    silent = {
        name: split(place, tells=False) for place, name in enumerate(("train", "val", "test"))
    }
    found, nothing = probe(telling, split="test"), probe(silent, split="test")
    assert found.scores["macro_f1"] > 0.9
    assert found.scores["macro_f1_labelled"] > 0.9
    assert nothing.scores["macro_f1"] < 0.45
    low, high = difference_over_days(found, nothing)
    assert 0.4 < low < high
    assert difference_over_days(found, found) == (0.0, 0.0)


def test_an_interval_over_days_from_one_day_is_none():
    splits = {name: split(place, rows=50) for place, name in enumerate(("train", "val", "test"))}
    found = probe(splits, split="test")
    assert set(found.day_N.tolist()) == {0}
    assert difference_over_days(found, found) is None


def test_a_look_at_validation_days_does_not_choose_by_them(monkeypatch):
    train, val = (split(place, rows=60, tells=False) for place in (0, 1))
    each = []
    for strength in (0.003, 0.3):
        monkeypatch.setattr(probe_module, "_STRENGTHS", (strength,))
        each.append(probe({"train": train, "val": val}, split="val").guessed)
    assert (each[0] != each[1]).any()
    monkeypatch.undo()
    # By the first labels the weaker one would be the best, by the second the stronger.
    first, second = (
        probe({"train": train, "val": dataclasses.replace(val, labels=labels)}, split="val")
        for labels in each
    )
    assert (first.guessed == second.guessed).all()


def test_the_strength_that_does_best_on_validation_days_is_taken(monkeypatch):
    val = split(1, rows=60)
    splits = {"train": split(0, rows=60), "val": val, "test": val}

    def score(*strengths: float) -> float:
        monkeypatch.setattr(probe_module, "_STRENGTHS", strengths)
        return probe(splits, split="test").scores["macro_f1"]

    each = [score(strength) for strength in (0.003, 0.03, 0.3)]
    assert min(each) < max(each) == score(0.003, 0.03, 0.3)


def test_the_majority_is_that_of_the_training_days():
    rare, usual = np.array(["Cook"] * 3 + ["Read"]), np.array(["Cook"] + ["Read"] * 3)
    nothing, day = np.zeros((4, 1)), np.zeros(4, dtype=np.int64)
    splits = {"train": Split(nothing, rare, day), "test": Split(nothing, usual, day)}
    # Cook is guessed four times and right once: an F1 of 2 / (1 + 4), and none for Read.
    assert majority(splits, split="test")["macro_f1"] == pytest.approx(0.2)


def test_the_majority_earns_its_share_only():
    splits = {name: split(place) for place, name in enumerate(("train", "val", "test"))}
    found = majority(splits, split="test")
    names, counts = np.unique(splits["train"].labels, return_counts=True)
    share = (splits["test"].labels == names[counts.argmax()]).mean()
    assert found["macro_f1"] == pytest.approx(2 * share / (1 + share) / 3)


def test_counts_are_those_of_the_window(small_set: PreparedSet):
    found = counted(small_set, ["val"])["val"]
    table = small_set.windows("val")
    length = table.column("length").to_numpy()
    assert (found.vectors_NW[:, 0] == length).all()
    sensors = small_set.vocabulary.sizes()["sensor"]
    assert (found.vectors_NW[:, 1 : 1 + sensors].sum(1) == length).all()
    assert found.labels.tolist() == table.column("label").to_pylist()
    # A day is once round the circle, from midnight on: 15 degrees an hour.
    hours = table.column("start_us").to_numpy() / 3.6e9 % 24
    sine, cosine = found.vectors_NW[:, -2], found.vectors_NW[:, -1]
    apart = (np.degrees(np.arctan2(sine, cosine)) - 15.0 * hours + 180.0) % 360.0 - 180.0
    assert np.abs(apart).max() < 1e-6


def test_a_verdict_has_probes_beside_counts_and_majority_and_a_look_leaves_the_test_days(
    whole_run: Path, tmp_path: Path
):
    import shutil

    run = Path(shutil.copytree(whole_run, tmp_path / "run"))
    seen = probe_validation(TrainedRun.open(run))
    assert {name.partition("/")[0] for name in seen.columns["trained"]} == {"val"}
    assert not (run / "test.json").exists()
    verdict = evaluate(TrainedRun.open(run))
    assert json.loads((run / "test.json").read_text())["majority"] == verdict.columns["majority"]
    for name in ("trained", "untrained", "sensor counts", "majority"):
        assert 0.0 <= verdict.columns[name]["test/probe_macro_f1"] <= 1.0
    columns = verdict.columns
    assert columns["trained"]["test/probe_macro_f1"] > columns["majority"]["test/probe_macro_f1"]
    assert "test/recall_mean" in columns["trained"]
    assert verdict.interval is None  # there is one test day, and an interval of one day is none
    opened = TrainedRun.open(run)
    store = WindowStore.of(opened.data.prepared.windows("test"))
    vectors = torch.from_numpy(opened.data.vectors_NT)
    wanted = held_out(
        opened.model, store, vectors, opened.recipe, first=0, total=len(store), longest=20
    )
    assert columns["trained"]["test/mlm_loss"] == wanted["mlm_loss"]
    assert columns["trained"]["test/clip_loss"] < columns["untrained"]["test/clip_loss"]
