"""Windows of events that come piece by piece are those of all events at once."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from casas_ray.config import WindowConfig
from casas_ray.corpus.events import Coded, Events
from casas_ray.corpus.open_windows import OpenWindows, Told
from casas_ray.corpus.windows import cut

US = 1_000_000


def events_of(time_s: list[int], sensor: list[int] | None = None) -> Events:
    rows = len(time_s)
    names = [f"M{code}" for code in sensor or [0] * rows]
    time_us = np.array(time_s, dtype=np.int64) * US
    line = np.arange(1, rows + 1)
    return Events(time_us, line, Coded.of(names), Coded.of(["ON"] * rows), Coded.of(["-"] * rows))


def part(events: Events, rows: slice) -> Events:
    columns = (events.sensor, events.state, events.label)
    named = (Coded.of([each.names[code] for code in each.codes[rows]]) for each in columns)
    return Events(events.time_us[rows], events.line[rows], *named)


def ranges(told: Told) -> list[tuple[int, int, int]]:
    """First line, events and seconds of each window."""
    found = []
    for first, after in zip(told.windows.first, told.windows.after, strict=True):
        passed = int(told.events.time_us[after - 1] - told.events.time_us[first]) // US
        found.append((int(told.events.line[first]), int(after - first), passed))
    return found


configs = st.one_of(
    st.builds(
        lambda length, overlap, least: WindowConfig(
            kind="fixed_length", length=length, overlap=overlap, min_events=min(least, length)
        ),
        st.integers(2, 9),
        st.sampled_from([0.0, 0.5, 0.8]),
        st.integers(1, 9),
    ),
    st.builds(
        lambda seconds, overlap, least: WindowConfig(
            kind="fixed_duration", seconds=seconds, overlap=overlap, min_events=least
        ),
        st.sampled_from([5.0, 30.0]),
        st.sampled_from([0.0, 0.5, 0.9]),
        st.integers(1, 6),
    ),
)


@given(
    gaps=st.lists(st.sampled_from([0, 1, 2, 7, 40]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=12),
    config=configs,
    remembered=st.sampled_from([0, 20]),
)
@settings(max_examples=300)
def test_pieces_make_the_windows_that_the_whole_makes(gaps, cuts, config, remembered):
    events = events_of(np.cumsum(gaps).tolist(), [gap % 3 for gap in gaps])
    windows = cut(events, [(0, len(events))], config)
    edges = sorted({0, len(events), *(min(each, len(events)) for each in cuts)})
    open_windows = OpenWindows(config, remembered_us=remembered * US)
    found = []
    for start, stop in itertools.pairwise(edges):
        found += ranges(open_windows.add(part(events, slice(start, stop))))
    found += ranges(open_windows.end())
    assert found == ranges(Told(events, windows))


def test_a_window_is_told_as_soon_as_it_is_full():
    config = WindowConfig(kind="fixed_length", length=3, overlap=0.0, min_events=3)
    open_windows = OpenWindows(config)
    told = [ranges(open_windows.add(events_of([second]))) for second in range(4)]
    assert [len(each) for each in told] == [0, 0, 1, 0]


def test_what_is_held_does_not_grow_with_the_log():
    config = WindowConfig(kind="fixed_duration", seconds=60.0, overlap=0.5, min_events=5)
    # One event in 50 seconds: no window has five, none is told, and little is held all the same.
    open_windows = OpenWindows(config)
    for hour in range(20):
        told = open_windows.add(events_of([hour * 3600 + 50 * each for each in range(72)]))
        assert len(told.windows) == 0
        assert len(open_windows.add(events_of([hour * 3600 + 3599])).events) < 80


def test_of_each_sensor_the_last_event_is_remembered():
    config = WindowConfig(kind="fixed_length", length=2, overlap=0.0, min_events=2)
    open_windows = OpenWindows(config, remembered_us=10 * US)
    open_windows.add(events_of([0, 1, 2, 3], [7, 8, 8, 8]))
    open_windows.add(events_of([100, 101], [9, 9]))
    told = open_windows.add(events_of([102, 103], [9, 9]))
    held = [told.events.sensor.names[code] for code in told.events.sensor.codes[:-2]]
    assert held == ["M7", "M8", "M9", "M9"]
