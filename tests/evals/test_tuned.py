"""Probes: what they find, what chose them, and that nobody is tuned by the days that judge."""

import dataclasses

import numpy as np
import pytest

from casas_ray.evals import tuned
from casas_ray.evals.scores import Tally
from casas_ray.evals.tuned import Part, block_of, majority, probe, standardised


def part(seed: int, *, rows: int = 300, tells: bool = True) -> Part:
    rng = np.random.default_rng(seed)
    labels = np.array(["Cook", "Read", "no_activity"])[rng.integers(3, size=rows)]
    vectors = rng.normal(size=(rows, 4))
    if tells:
        vectors[:, 0] += 4.0 * (labels == "Cook")
        vectors[:, 1] += 4.0 * (labels == "Read")
    return Part(vectors, labels, np.arange(rows) // 50)


def macro(guesses: object) -> float:
    return Tally.of([guesses]).scores()["macro_f1"]


@pytest.mark.parametrize("kind", ["regression", "forest"])
def test_a_probe_finds_what_vectors_tell_and_nothing_where_they_do_not(kind: str):
    found = probe(part(0), part(1), kind)
    assert macro(found.guesses) > 0.9
    assert macro(found.labelled) > 0.9
    assert "no_activity" not in found.labelled.true
    nothing = probe(part(0, tells=False), part(1, tells=False), kind)
    assert macro(nothing.guesses) < 0.45


def test_the_days_that_judge_choose_nothing():
    train, judged = part(0, rows=120, tells=False), part(1, rows=60, tells=False)
    once = probe(train, judged)
    others = dataclasses.replace(judged, labels=once.guesses.guessed)
    again = probe(train, others)
    assert (again.chosen, again.curve) == (once.chosen, once.curve)
    assert (again.guesses.guessed == once.guesses.guessed).all()


def test_the_candidate_that_does_best_on_blocks_of_training_days_is_taken():
    found = probe(part(0, tells=False), part(1))
    assert found.chosen == max(found.curve, key=lambda name: found.curve[name])
    assert list(found.curve) == [f"C={each:g}" for each in tuned.STRENGTHS]
    assert (min(tuned.STRENGTHS), max(tuned.STRENGTHS)) == (0.003, 10.0)
    assert len(set(found.curve.values())) > 1


def test_a_candidate_is_scored_on_the_block_that_it_did_not_see(monkeypatch):
    # A label a day: what a fit has not seen it cannot guess, so every block left out scores 0.
    labels = np.repeat(np.array(list("abcd")), 20)
    days = np.repeat(np.arange(4), 20)
    train = Part(np.eye(4)[days], labels, days)
    found = probe(train, train)
    assert set(found.curve.values()) == {0.0}
    assert macro(found.guesses) == 1.0


def test_blocks_are_whole_days_in_order_or_quarters_of_one():
    days = np.repeat([7, 3, 9, 5, 11], 2)
    assert block_of(days).tolist() == [1, 1, 0, 0, 2, 2, 0, 0, 3, 3]
    assert block_of(np.array([4] * 6)).tolist() == [0, 0, 1, 1, 2, 3]
    assert block_of(np.array([1, 2])).tolist() == [0, 1]


def test_the_majority_is_that_of_the_training_days():
    rare, usual = np.array(["Cook"] * 3 + ["Read"]), np.array(["Cook"] + ["Read"] * 3)
    nothing, day = np.zeros((4, 1)), np.zeros(4, dtype=np.int64)
    found = majority(Part(nothing, rare, day), Part(nothing, usual, day))
    # Cook is guessed four times and right once: an F1 of 2 / (1 + 4), and none for Read.
    assert macro(found.guesses) == pytest.approx(0.2)


def test_windows_of_one_label_are_told_it():
    day = np.arange(8) // 2
    train = Part(np.random.default_rng(0).normal(size=(8, 2)), np.array(["Cook"] * 8), day)
    found = probe(train, train)
    assert set(found.guesses.guessed.tolist()) == {"Cook"}
    assert found.labelled is None


def test_a_column_that_is_all_but_still_in_training_is_not_blown_up():
    train = part(0)
    still = np.full((len(train.labels), 1), 1e-41, dtype=np.float32)
    still[0] = 1e-38
    vectors = np.concatenate([train.vectors_NW, still], axis=1).astype(np.float32)
    moved = vectors.copy()
    moved[:, 4] = 3.0
    assert np.abs(standardised(moved, vectors)).max() <= 100.0
    found = probe(Part(vectors, train.labels, train.day_N), Part(moved, train.labels, train.day_N))
    assert macro(found.guesses) > 0.9
    plain = standardised(train.vectors_NW, train.vectors_NW)
    np.testing.assert_allclose(plain.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(plain.std(0), 1.0)
