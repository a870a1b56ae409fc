"""Captions: no label can enter them, they agree with the clock, and they are stable."""

import inspect
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.config import CaptionConfig, DataConfig
from casas_ray.corpus import captions as captions_module
from casas_ray.corpus.captions import describe, span_words
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND, Coded, Events
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.homes import Home, home_or_error, words
from casas_ray.corpus.prepare import prepare
from casas_ray.corpus.windows import Windows

HOME = Home.build(
    {
        "home": "toy",
        "sensors": {
            "M1": {"type": "motion", "room": "kitchen", "near": "near the stove"},
            "M2": {"type": "motion", "room": "LivingRoom"},
        },
    }
)


def toy_events(sensors: list[str], seconds: list[float], labels: list[str]) -> Events:
    time_us = (np.array(seconds) * US_PER_SECOND).astype(np.int64)
    lines = np.arange(1, len(seconds) + 1)
    return Events(
        time_us, lines, Coded.of(sensors), Coded.of(["ON"] * len(lines)), Coded.of(labels)
    )


def captions_of(sensors: list[str], seconds: list[float], labels: list[str]) -> tuple[str, ...]:
    windows = Windows(np.array([0]), np.array([len(sensors)]))
    return describe(windows, toy_events(sensors, seconds, labels), HOME, CaptionConfig())[0]


def test_a_caption_says_when_how_long_where_and_by_what():
    nine = 9 * 3600.0  # 1970-01-01 was a Thursday
    found = captions_of(["M2", "M1"], [nine, nine + 120.0], ["-", "-"])
    text = next(caption for caption in found if caption.startswith("Thursday in the morning"))
    assert "from the living room to the kitchen" in text
    assert "near the stove" in text
    assert text.endswith("for 2 minutes.")
    assert "after 9 am" in text
    assert len(set(found)) == 4


@given(st.lists(st.sampled_from(["Cook", "Sleep", "Zzyzx"]), min_size=3, max_size=3))
def test_captions_are_the_same_whatever_the_labels(labels: list[str]):
    seconds = [0.0, 5.0, 9.0]
    neutral = captions_of(["M1", "M2", "M1"], seconds, ["-"] * 3)
    assert captions_of(["M1", "M2", "M1"], seconds, labels) == neutral


def test_no_function_of_the_module_mentions_labels():
    code = inspect.getsource(captions_module)
    assert ".label" not in code


TIME_WORDS = {"morning", "evening", "night", "afternoon"}


def test_no_label_word_stands_in_a_simulated_homes_captions():
    data = DataConfig.build({"simulated": True, "simulate": {"days": 4}})
    prepared = prepare(data, logs_for(data))
    home = home_or_error("milan")
    said_by_home = " ".join(
        f"{words(sensor.room)} {sensor.near}" for sensor in home.sensors.values()
    )
    labels = {name for counts in prepared.manifest["labels"].values() for name in counts}
    label_words = {word for name in labels for word in re.findall(r"[a-z]{3,}", name.lower())}
    forbidden = label_words - set(re.findall(r"[a-z]+", said_by_home.lower())) - TIME_WORDS
    used = set(re.findall(r"[a-z]+", " ".join(prepared.captions()).lower()))
    assert {"sleep", "activity", "meds"} <= forbidden
    assert not used & forbidden


@pytest.mark.parametrize(
    ("hour", "wanted"),
    [
        (0, "night after midnight"),
        (4.99, "night after midnight"),
        (5, "early in the morning"),
        (8, "in the morning"),
        (11.99, "in the morning"),
        (12, "in the afternoon"),
        (17, "in the evening"),
        (21, "late at night before midnight"),
        (23.99, "late at night before midnight"),
    ],
)
def test_time_words_agree_with_the_clock(hour: float, wanted: str):
    found = captions_of(["M1", "M1"], [hour * 3600.0, hour * 3600.0 + 1.0], ["-", "-"])
    every = {"night after", "early in", "in the morning", "afternoon", "evening", "before midnight"}
    others = {word for word in every if word not in wanted}
    for text in found:
        assert wanted in text.lower()
        assert not [word for word in others if word in text.lower()]
    clock = re.findall(r"after (\d+) (am|pm)", " ".join(found))
    assert set(clock) == {(str((int(hour) - 1) % 12 + 1), "am" if hour < 12 else "pm")}


def test_a_windows_captions_do_not_depend_on_its_neighbours():
    seconds = [float(second) for second in range(0, 60, 3)]
    events = toy_events(["M1", "M2"] * 10, seconds, ["-"] * 20)
    both = Windows(np.array([0, 10]), np.array([10, 20]))
    turned = Windows(np.array([10, 0]), np.array([20, 10]))
    config = CaptionConfig()
    first, second = describe(both, events, HOME, config)
    assert describe(turned, events, HOME, config) == [second, first]


def test_another_seed_says_it_otherwise():
    events = toy_events(["M1"] * 40, [3.0 * place for place in range(40)], ["-"] * 40)
    windows = Windows(np.arange(0, 40, 4), np.arange(4, 44, 4))
    first, second = (describe(windows, events, HOME, CaptionConfig(seed=seed)) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0.2, "a moment"),
        (1.0, "1 second"),
        (40.0, "40 seconds"),
        (54.0, "54 seconds"),
        (55.0, "1 minute"),
        (60.0, "1 minute"),
        (89.0, "1 minute"),
        (150.0, "2 minutes"),
        (5400.0, "2 hours"),
        (3600.0 * 5, "5 hours"),
    ],
)
def test_spans_are_said_in_the_unit_a_reader_would_take(seconds: float, wanted: str):
    assert span_words(seconds) == wanted


def test_the_day_is_the_day_of_the_start():
    start = 3 * US_PER_DAY / US_PER_SECOND + 86_399.0  # Sunday, a second before midnight
    captions = captions_of(["M1", "M1"], [start, start + 9], ["-"] * 2)
    days = [re.findall(r"[A-Z][a-z]+day", caption) for caption in captions]
    assert sorted(days) == [[], ["Sunday"], ["Sunday"], ["Sunday"]]  # one wording says no day


def test_five_rooms_are_told_one_by_one_and_more_are_counted_once_each():
    five = " ".join(captions_of(["M1", "M2"] * 2 + ["M1"], [0.0, 1.0, 2.0, 3.0, 4.0], ["-"] * 5))
    way = "from the kitchen to the living room, then the kitchen, then the living room, then the"
    assert five.count(way) == 4
    six = " ".join(captions_of(["M1", "M2"] * 3, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], ["-"] * 6))
    assert six.count("between 2 rooms, from the kitchen to the living room") == 4


@pytest.mark.parametrize(("hour", "wanted"), [(0, "12:05 am"), (11, "11:05 am"), (12, "12:05 pm")])
def test_the_structured_style_tells_noon_from_midnight(hour: int, wanted: str):
    start = hour * 3600.0 + 300.0
    events = toy_events(["M1", "M1"], [start, start], ["-", "-"])
    config = CaptionConfig(style="structured", per_window=1)
    (found,) = describe(Windows(np.array([0]), np.array([2])), events, HOME, config)[0]
    assert found.startswith(f"Started Thursday at {wanted}, ended at {wanted}.")


def test_the_structured_style_says_started_ended_mainly_where_and_the_busiest():
    nine = 9 * 3600.0 + 300.0
    events = toy_events(["M1", "M2", "M1"], [nine, nine + 60.0, nine + 180.0], ["-"] * 3)
    config = CaptionConfig(style="structured", per_window=2)
    found = describe(Windows(np.array([0]), np.array([3])), events, HOME, config)[0]
    assert (
        found
        == (
            "Started Thursday at 9:05 am, ended at 9:08 am. Mainly in the kitchen. "
            "Busiest: motion sensor by the stove and motion sensor in the living room.",
        )
        * 2
    )
