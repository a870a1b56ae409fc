"""Days are split before windows are cut: no event of a test day is in a training window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.config import SplitConfig, WindowConfig
from casas_ray.corpus.events import US_PER_DAY, Coded, Events
from casas_ray.corpus.split import SPLITS, split_days, stretches
from casas_ray.corpus.windows import Windows, cut, label_shares
from casas_ray.errors import DataError


def events_on(days: list[int]) -> Events:
    """One event an entry, in the order given within a day."""
    days = sorted(days)
    time_us = np.array([day * US_PER_DAY + place for place, day in enumerate(days)])
    same = Coded.of(["x"] * len(days))
    return Events(time_us, np.arange(1, len(days) + 1), same, same, same)


def test_ten_days_are_split_seven_one_two():
    days = split_days(events_on(list(range(10))), SplitConfig())
    assert (days.train, days.val, days.test) == (tuple(range(7)), (7,), (8, 9))


def test_days_without_events_are_no_days():
    days = split_days(events_on([0, 5, 9]), SplitConfig())
    assert (days.train, days.val, days.test) == ((0,), (5,), (9,))


@pytest.mark.parametrize("days", [[0], [0, 1]])
def test_a_log_of_one_or_two_days_is_refused(days: list[int]):
    with pytest.raises(DataError, match="train, val and test need one each"):
        split_days(events_on(days), SplitConfig())


@given(
    st.lists(st.integers(0, 30), min_size=40, max_size=300),
    st.integers(2, 30),
    st.floats(0.0, 0.95),
)
def test_no_window_holds_an_event_of_another_split(days: list[int], length: int, overlap: float):
    events = events_on([*days, 0, 1, 2])
    config = WindowConfig(length=length, overlap=overlap, min_events=2)
    split = split_days(events, SplitConfig())
    for name in SPLITS:
        windows = cut(stretches(events, split.of(name)), config)
        rows, real = windows.rows(length)
        assert set(events.day[rows[real]].tolist()) <= set(split.of(name))


@given(st.integers(2, 200), st.integers(2, 30), st.floats(0.0, 0.95))
def test_full_windows_have_their_length_and_only_a_short_rest_is_left_out(
    count: int, length: int, overlap: float
):
    config = WindowConfig(length=length, overlap=overlap, min_events=2)
    windows = cut([(0, count)], config)
    assert (windows.length <= length).all()
    assert (np.diff(windows.first) == config.stride).all()
    covered = windows.after.max() if len(windows) else 0
    assert count - covered < 2 or covered == count


def test_windows_of_four_with_half_overlap_by_hand():
    windows = cut([(10, 17)], WindowConfig(length=4, overlap=0.5, min_events=2))
    assert list(zip(windows.first.tolist(), windows.after.tolist(), strict=True)) == [
        (10, 14),
        (12, 16),
        (14, 17),
    ]


def test_a_rest_that_holds_no_event_of_its_own_makes_no_window():
    windows = cut([(0, 6)], WindowConfig(length=4, overlap=0.5, min_events=2))
    assert windows.first.tolist() == [0, 2]


def test_a_windows_label_is_the_mode_of_its_events_labels():
    label = Coded.of(["Cook", "Read", "Read", "Cook", "Cook", "Read"])
    windows = Windows(np.array([0, 1]), np.array([3, 6]))
    shares = label_shares(windows, label)
    assert shares[0] == [("Read", 2 / 3), ("Cook", 1 / 3)]
    # Three each would be two and two plus one; here Read leads 3 to 2.
    assert shares[1] == [("Read", 0.6), ("Cook", 0.4)]
