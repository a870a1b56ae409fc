"""What a person is told of a window agrees with the set's own events, counted another way."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.corpus.exchange.shape_a import write_shape_a
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.window_facts import UNKNOWN, WindowFacts, time_text


@pytest.fixture(scope="module")
def told(small_set: PreparedSet) -> tuple[WindowFacts, SeenWindows]:
    windows = SeenWindows.of(small_set, ("train", "val"))
    return WindowFacts.of(small_set, windows), windows


def test_a_window_is_told_by_its_own_events(told, small_set: PreparedSet):
    facts, windows = told
    events = pq.read_table(small_set.folder / "events.parquet").to_pylist()
    for window in (0, 7, len(facts) - 1):
        mine = events[windows.ranges.first[window] : windows.ranges.after[window]]
        fact = facts.fact(window)
        assert fact.start == time_text(mine[0]["time_us"])
        assert fact.seconds == pytest.approx((mine[-1]["time_us"] - mine[0]["time_us"]) / 1e6)
        known = {event["sensor"] for event in mine} & set(facts.sensors)
        heard = facts.events(window)
        assert [sensor for _, sensor, _ in heard if sensor != UNKNOWN] == [
            event["sensor"] for event in mine if event["sensor"] in known
        ]
        assert [state for _, _, state in heard] == [event["state"] for event in mine]
        assert heard[-1][0] == pytest.approx(fact.seconds, abs=0.01)


def test_rooms_are_ranked_by_their_events_and_said_in_words(told):
    facts, _ = told
    for window in range(0, len(facts), 97):
        counts = Counter(
            facts.rooms[room]
            for room in np.repeat(np.arange(len(facts.rooms)), facts.room_NV[window]).tolist()
        )
        fact = facts.fact(window)
        assert sum(counts.values()) == facts.table.column("length")[window].as_py()
        assert set(fact.rooms) == set(counts)
        assert counts[fact.rooms[0]] == max(counts.values())
        assert not any("_" in room for room in fact.rooms)


def test_hours_and_weekdays_are_those_of_the_local_clock(told):
    facts, _ = told
    moment = facts.start_us_N[5].astype("datetime64[us]").item()
    assert (facts.hour_N[5], facts.weekday_N[5]) == (moment.hour, moment.weekday())
    assert facts.sensor_NV.sum() == len(facts.sensor_E)


def test_a_label_that_says_nothing_is_none(told):
    facts, windows = told
    assert facts.has_labels
    assert set(facts.labels[windows.labels == "no_activity"].tolist()) == {""}
    assert (facts.labels[windows.labels != "no_activity"] != "").all()


def test_alignment_json_tells_the_same_windows(told, small_set: PreparedSet):
    facts, _ = told
    again = prepare_json(JsonFiles.beside(write_shape_a(small_set) / "train.json"))
    copied = WindowFacts.of(again, SeenWindows.of(again, ("train", "val")))
    one, other = facts.fact(3), copied.fact(3)
    assert (other.start, other.rooms, other.caption) == (one.start, one.rooms, one.caption)
    assert [each[1:] for each in copied.events(3)] == [each[1:] for each in facts.events(3)]
