"""F1 and its intervals, against scikit-learn and by hand."""

import numpy as np
import pytest

from casas_ray.evals.scores import Guesses, Tally, difference, f1_scores, interval


def guesses(seed: int, share: float, *, rows: int = 400, days: int = 8) -> Guesses:
    """Labels of which this share is guessed rightly."""
    rng = np.random.default_rng(seed)
    true = np.array(list("abc"))[rng.integers(3, size=rows)]
    other = np.array(list("abc"))[rng.integers(3, size=rows)]
    return Guesses(true, np.where(rng.random(rows) < share, true, other), np.arange(rows) % days)


def test_f1_is_what_scikit_learn_says():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    for names in ("aaabbc", "ab", "abcdef"):
        true = np.array(list(names))[rng.integers(len(names), size=200)]
        guessed = np.array(list("abcd"))[rng.integers(4, size=200)]
        classes = sorted(set(true.tolist()))
        for average, name in (("macro", "macro_f1"), ("weighted", "weighted_f1")):
            wanted = f1_score(true, guessed, labels=classes, average=average, zero_division=0)
            assert f1_scores(true, guessed)[name] == pytest.approx(wanted)


def test_the_score_of_folds_is_their_mean():
    folds = [guesses(0, 0.9), guesses(1, 0.1)]
    tally = Tally.of(folds)
    each = [f1_scores(fold.true, fold.guessed)["macro_f1"] for fold in folds]
    assert tally.by_fold() == pytest.approx(each)
    assert tally.scores()["macro_f1"] == pytest.approx(np.mean(each))


def test_a_difference_is_of_the_same_days_and_none_of_one_day():
    good, bad = Tally.of([guesses(0, 0.9)]), Tally.of([guesses(0, 0.1)])
    low, high = difference([good], [bad])
    assert 0.2 < low < high
    assert difference([good], [good]) == (0.0, 0.0)
    low, high = interval([good])
    assert low < good.scores()["macro_f1"] < high
    one_day = Tally.of([guesses(0, 0.9, days=1)])
    assert interval([one_day]) is None
    assert difference([one_day], [one_day]) is None


def test_an_interval_is_wider_over_seeds_that_differ():
    same = [Tally.of([guesses(0, 0.8)])] * 3
    unlike = [Tally.of([guesses(0, share)]) for share in (0.6, 0.8, 1.0)]
    widths = [high - low for low, high in (interval(same), interval(unlike))]
    assert widths[1] > 2 * widths[0]


def test_days_are_drawn_by_their_number_and_counted_whole():
    # Two days, one all right and one all wrong: drawn twice, F1 is 1, 0 or that of both.
    true = np.array(["a"] * 10)
    tally = Tally.of([Guesses(true, np.array(["a"] * 5 + ["b"] * 5), np.repeat([0, 1], 5))])
    times = tally.drawn_again()
    assert set(times.sum(1).tolist()) == {2.0}
    macro, _ = tally.f1(times)
    assert {round(value, 6) for value in macro.tolist()} == {0.0, round(2 / 3, 6), 1.0}
