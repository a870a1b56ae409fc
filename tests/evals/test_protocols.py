"""How days are dealt: what is fitted on, what is judged, and what nobody may see."""

import numpy as np
import pytest
from support.seen import seen

from casas_ray.errors import DataError
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.protocols import caveats_of, folds

DAY = 86_400


def eight_days() -> SeenWindows:
    """Ten events a day, in windows of four with an overlap of two that cross midnight."""
    time_s = [day * DAY + hour * 3600 for day in range(8) for hour in range(10)]
    ranges = [(first, first + 4) for first in range(0, 77, 2)]
    split = np.repeat([0] * 6 + [1] * 2, 10)
    return seen(time_s, [0] * 80, [0] * 80, ranges, split=split)


def days_of(windows: SeenWindows, rows: np.ndarray) -> set[int]:
    _, event_R = windows.event_rows
    window_R, _ = windows.event_rows
    return set(windows.day_E[event_R[np.isin(window_R, rows)]].tolist())


@pytest.mark.parametrize("protocol", ["rolling", "random-days"])
def test_every_day_is_judged_once_by_a_fit_on_the_others(protocol: str):
    windows = eight_days()
    dealt = folds(windows, protocol)
    judged = [days_of(windows, fold.judged) for fold in dealt]
    assert sorted(day for days in judged for day in days) == list(range(8))
    for fold, days in zip(dealt, judged, strict=True):
        assert days_of(windows, fold.train) == set(range(8)) - days
        # Nor may a judged window look into days that are fitted on.
        for row in fold.judged.tolist():
            reach = slice(fold.reach_first_N[row], fold.reach_after_N[row])
            assert set(windows.day_E[reach].tolist()) <= days
    in_order = judged == [{0, 1}, {2, 3}, {4, 5}, {6, 7}]
    assert in_order == (protocol == "rolling")


def test_by_day_the_splits_are_those_of_the_set():
    windows = eight_days()
    three = SeenWindows(
        **{
            **vars(windows),
            "names": ("train", "test"),
            "split_E": np.repeat([0, -1, 1], [50, 10, 20]),
        }
    )
    (fold,) = folds(three, "day")
    assert days_of(three, fold.train) == {0, 1, 2, 3, 4}
    assert days_of(three, fold.judged) == {6, 7}
    assert (fold.reach_first_N[fold.judged] >= 60).all()


def test_windows_at_random_share_events_and_say_that_they_leak():
    windows = eight_days()
    fold = folds(windows, "random-windows")[0]
    both = days_of(windows, fold.train) & days_of(windows, fold.judged)
    assert both
    assert caveats_of("random-windows") == ("windows at random: LEAKS",)
    assert caveats_of("random-days") == ("random days",)
    assert caveats_of("rolling") == caveats_of("day") == ()


def test_too_few_days_are_named():
    windows = seen([0, 1, DAY, DAY + 1], [0] * 4, [0] * 4, [(0, 2), (2, 4)])
    with pytest.raises(DataError, match="protocol rolling, fold 3 of 4: 2 windows to fit on and 0"):
        folds(windows, "rolling")
