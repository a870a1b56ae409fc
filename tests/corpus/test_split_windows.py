"""Days are split before windows are cut: no event of a test day is in a training window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.config import SplitConfig, WindowConfig
from casas_ray.corpus.events import US_PER_DAY, Coded, Events
from casas_ray.corpus.split import SPLITS, Days, split_days, stretches
from casas_ray.corpus.windows import Windows, cut, label_shares
from casas_ray.errors import DataError, SettingsError


def events_on(days: list[int]) -> Events:
    """One event an entry, in the order given within a day."""
    days = sorted(days)
    time_us = np.array([day * US_PER_DAY + place for place, day in enumerate(days)])
    same = Coded.of(["x"] * len(days))
    return Events(time_us, np.arange(1, len(days) + 1), same, same, same)


def events_at(moments: list[tuple[int, int]]) -> Events:
    """One event a (day, second), with two labels by turns of four events."""
    moments = sorted(moments)
    time_us = np.array([day * US_PER_DAY + second * 1_000_000 for day, second in moments])
    labels = ["Read" if place // 4 % 2 else "Cook" for place in range(len(moments))]
    same = Coded.of(["x"] * len(moments))
    return Events(time_us, np.arange(1, len(moments) + 1), same, same, Coded.of(labels))


def test_ten_days_are_split_seven_one_two():
    days = split_days(events_on(list(range(10))), SplitConfig(), "x")
    assert (days.train, days.val, days.test) == (tuple(range(7)), (7,), (8, 9))


def test_shares_of_days_are_rounded_and_not_cut_off():
    # A tenth and a fifth of 18 are 1.8 and 3.6.
    days = split_days(events_on(list(range(18))), SplitConfig(), "x")
    assert (len(days.train), len(days.val), len(days.test)) == (12, 2, 4)
    # A tenth of 15 is 1.5.
    left_out = SplitConfig(kind="leave_home_out", held_out="b")
    assert split_days(events_on(list(range(15))), left_out, "a").val == (13, 14)


def test_days_without_events_are_no_days():
    days = split_days(events_on([0, 5, 9]), SplitConfig(), "x")
    assert (days.train, days.val, days.test) == ((0,), (5,), (9,))


@pytest.mark.parametrize("days", [[0], [0, 1]])
def test_a_log_of_one_or_two_days_is_refused(days: list[int]):
    with pytest.raises(DataError, match="each split needs one, 3 in all"):
        split_days(events_on(days), SplitConfig(), "x")


def test_random_days_are_drawn_by_seed_and_a_left_out_home_is_only_tested():
    events = events_on(list(range(20)))
    first, again, other = (
        split_days(events, SplitConfig(kind="random_days", seed=seed), "x") for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sorted([*first.train, *first.val, *first.test]) == list(range(20))
    left_out = SplitConfig(kind="leave_home_out", held_out="b")
    assert split_days(events, left_out, "a") == Days(tuple(range(18)), (18, 19), ())
    assert split_days(events, left_out, "b") == Days((), (), tuple(range(20)))


KINDS = st.one_of(
    st.builds(
        WindowConfig,
        length=st.integers(2, 30),
        overlap=st.floats(0.0, 0.95),
        min_events=st.just(2),
        presegmented=st.booleans(),
    ),
    st.builds(
        WindowConfig,
        kind=st.just("fixed_duration"),
        seconds=st.floats(1.0, 90_000.0).filter(lambda value: value <= 86_400),
        overlap=st.floats(0.0, 0.95),
        presegmented=st.booleans(),
    ),
)
SPLIT_KINDS = st.one_of(
    st.just(SplitConfig()),
    st.builds(SplitConfig, kind=st.just("random_days"), seed=st.integers(0, 9)),
    st.just(SplitConfig(kind="leave_home_out", held_out="b")),
)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 86_399)), min_size=40, max_size=200),
    KINDS,
    SPLIT_KINDS,
)
def test_no_window_of_any_kind_holds_an_event_of_another_split(
    moments: list[tuple[int, int]], config: WindowConfig, split_config: SplitConfig
):
    events = events_at([*moments, (0, 5), (1, 5), (2, 5)])
    split = split_days(events, split_config, "a")
    for name in SPLITS:
        windows = cut(events, stretches(events, split.of(name)), config)
        assert set(events.day[windows.rows()].tolist()) <= set(split.of(name))
        assert (windows.length >= config.least_events).all()
        if config.presegmented:
            assert all(len(row) == 1 for row in label_shares(windows, events.label))
        if config.kind == "fixed_duration":
            spans = events.time_us[windows.after - 1] - events.time_us[windows.first]
            assert (spans < config.seconds * 1e6).all()


def test_windows_of_a_minute_by_hand():
    events = events_at([(0, second) for second in (0, 10, 20, 35, 50, 70, 200, 205, 210, 500)])
    config = WindowConfig(kind="fixed_duration", seconds=60.0)
    windows = cut(events, [(0, 10)], config)
    # From 0 s on five events; from 35 s on (the first after half a minute) 35, 50 and 70; from
    # 70 s on only itself; from 200 s on three; 500 s stands alone.
    assert list(zip(windows.first.tolist(), windows.after.tolist(), strict=True)) == [
        (0, 5),
        (3, 6),
        (6, 9),
    ]


def test_an_event_where_a_window_ends_is_the_next_ones_first():
    events = events_at([(0, second) for second in (0, 10, 30, 40, 60, 70)])
    windows = cut(events, [(0, 6)], WindowConfig(kind="fixed_duration", seconds=60.0))
    # 0 to 40 s; 30 to 70 s, whose start is an event at just half a minute; from 60 s on only two.
    assert list(zip(windows.first.tolist(), windows.after.tolist(), strict=True)) == [
        (0, 4),
        (2, 6),
    ]


def test_a_window_of_a_minute_is_cut_off_at_4096_events():
    time_us = np.arange(5000) * 10_000  # a hundred a second, for 50 s
    same = Coded.of(["x"] * 5000)
    events = Events(time_us, np.arange(5000), same, same, same)
    windows = cut(events, [(0, 5000)], WindowConfig(kind="fixed_duration", seconds=60.0))
    assert (windows.first.tolist(), windows.after.tolist()) == ([0, 3000], [4096, 5000])


def test_half_a_stride_is_rounded_and_settings_may_just_fit():
    # 10 x (1 - 0.45) is 5.5 and 5 x (1 - 0.5) is 2.5: to the even one.
    assert WindowConfig(length=10, overlap=0.45).stride == 6
    assert WindowConfig(length=5, overlap=0.5).stride == 2
    assert WindowConfig(length=8, min_events=8).least_events == 8
    with pytest.raises(SettingsError, match="leave no days to train on"):
        SplitConfig.build({"val_share": 0.5, "test_share": 0.5})


def test_a_setting_that_has_no_effect_on_this_kind_is_refused():
    for wrong in (
        {"kind": "fixed_duration", "length": 30},
        {"seconds": 30.0},
        {"min_events": 21},
    ):
        with pytest.raises(SettingsError):
            WindowConfig.build(wrong)
    for wrong in ({"seed": 1}, {"held_out": "b"}, {"kind": "leave_home_out"}):
        with pytest.raises(SettingsError):
            SplitConfig.build(wrong)


@given(st.integers(2, 200), st.integers(2, 30), st.floats(0.0, 0.95))
def test_full_windows_have_their_length_and_only_a_short_rest_is_left_out(
    count: int, length: int, overlap: float
):
    config = WindowConfig(length=length, overlap=overlap, min_events=2)
    windows = cut(events_on([0] * count), [(0, count)], config)
    assert (windows.length <= length).all()
    assert (np.diff(windows.first) == config.stride).all()
    covered = windows.after.max() if len(windows) else 0
    assert count - covered < 2 or covered == count


def test_windows_of_four_with_half_overlap_by_hand():
    windows = cut(
        events_on([0] * 17), [(10, 17)], WindowConfig(length=4, overlap=0.5, min_events=2)
    )
    assert list(zip(windows.first.tolist(), windows.after.tolist(), strict=True)) == [
        (10, 14),
        (12, 16),
        (14, 17),
    ]


def test_a_rest_that_holds_no_event_of_its_own_makes_no_window():
    windows = cut(events_on([0] * 6), [(0, 6)], WindowConfig(length=4, overlap=0.5, min_events=2))
    assert windows.first.tolist() == [0, 2]


def test_a_windows_label_is_the_mode_of_its_events_labels():
    label = Coded.of(["Cook", "Read", "Read", "Cook", "Cook", "Read"])
    windows = Windows(np.array([0, 1]), np.array([3, 6]))
    shares = label_shares(windows, label)
    assert shares[0] == [("Read", 2 / 3), ("Cook", 1 / 3)]
    # Three each would be two and two plus one; here Read leads 3 to 2.
    assert shares[1] == [("Read", 0.6), ("Cook", 0.4)]
