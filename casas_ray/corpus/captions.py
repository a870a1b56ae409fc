"""Captions of windows: when, how long, which rooms in what order, what was near.

Captions are built from events and the home's facts. No function here takes a label, so none can
enter a caption, except as a room's or an object's own name.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from casas_ray.config import CaptionConfig
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND, Events
from casas_ray.corpus.homes import Home, words
from casas_ray.corpus.vocab import part_of_day
from casas_ray.corpus.windows import Windows

_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PART_WORDS = {
    "night_after_midnight": "in the night after midnight",
    "early_morning": "early in the morning",
    "late_morning": "in the morning",
    "afternoon": "in the afternoon",
    "evening": "in the evening",
    "night_before_midnight": "late at night before midnight",
}
_MOST_ROOMS = 5
_MOST_OBJECTS = 2


@dataclass(frozen=True)
class Facts:
    """What a caption may say, in words."""

    day: str
    part: str
    clock: str
    span: str
    path: tuple[str, ...]
    """Rooms in the order entered; a room comes again when it was left between."""

    mainly: str
    near: tuple[str, ...]
    started: str
    ended: str
    busiest: tuple[str, ...]
    """The two sensors with the most events, described."""


T = TypeVar("T")
Choice = Iterator[int]
Template = Callable[[Facts, Choice], str]


def describe(
    windows: Windows, events: Events, home: Home, config: CaptionConfig
) -> list[tuple[str, ...]]:
    """`per_window` captions for each window; they depend on the window and the seed alone."""
    in_words = _SensorWords.of(events, home)
    return [
        _captions(
            _facts(events, in_words, first, after),
            config,
            # Not by its index: a window keeps its captions whatever else is in the set.
            f"{home.home}:{events.time_us[first]}:{after - first}",
        )
        for first, after in zip(windows.first.tolist(), windows.after.tolist(), strict=True)
    ]


def _captions(facts: Facts, config: CaptionConfig, window: str) -> tuple[str, ...]:
    if config.style == "structured":
        return (_structured(facts),) * config.per_window
    choices = _choices(f"{config.seed}:{window}")
    start = next(choices)
    templates = [
        _TEMPLATES[(start + index) % len(_TEMPLATES)] for index in range(config.per_window)
    ]
    return tuple(template(facts, choices) for template in templates)


def _choices(key: str) -> Choice:
    """Numbers 0 to 255 without end, the same for the same key on any machine."""
    # Not Python's hash(), which is salted anew in each process, nor random, which may change.
    block = 0
    while True:
        yield from hashlib.blake2b(f"{key}:{block}".encode()).digest()
        block += 1


@dataclass(frozen=True)
class _SensorWords:
    """By sensor code, in words: its room, what it is near, and the sensor itself."""

    rooms: list[str]
    objects: list[str]
    sensors: list[str]

    @classmethod
    def of(cls, events: Events, home: Home) -> "_SensorWords":
        facts = [home.sensors[name] for name in events.sensor.names]
        rooms = [words(sensor.room) for sensor in facts]
        objects = [_object(sensor.near) for sensor in facts]
        sensors = [
            f"{words(sensor.type)} sensor " + (f"by the {near}" if near else f"in the {room}")
            for sensor, room, near in zip(facts, rooms, objects, strict=True)
        ]
        return cls(rooms, objects, sensors)


def sensor_words(events: Events, home: Home) -> list[str]:
    """By sensor code, the sensor in words: `motion sensor by the stove, kitchen`."""
    in_words = _SensorWords.of(events, home)
    return [
        text if room in text else f"{text}, {room}"
        for text, room in zip(in_words.sensors, in_words.rooms, strict=True)
    ]


def _object(near: str) -> str:
    text = near.strip().lower()
    for opening in ("near the ", "near ", "at the ", "at "):
        text = text.removeprefix(opening)
    return text


def _facts(events: Events, in_words: _SensorWords, first: int, after: int) -> Facts:
    start, end = int(events.time_us[first]), int(events.time_us[after - 1])
    codes: list[int] = events.sensor.codes[first:after].tolist()
    visited = [in_words.rooms[code] for code in codes]
    near = [in_words.objects[code] for code in codes if in_words.objects[code]]
    hour = start % US_PER_DAY // (3600 * US_PER_SECOND)
    return Facts(
        # 1970-01-01 was a Thursday.
        day=_DAY_NAMES[(start // US_PER_DAY + 3) % 7],
        part=_PART_WORDS[part_of_day(hour)],
        clock=_clock(hour),
        span=span_words((end - start) / US_PER_SECOND),
        path=_path(visited),
        mainly=_most_frequent(visited, 1)[0],
        near=tuple(_most_frequent(near, _MOST_OBJECTS)),
        started=_minute(start),
        ended=_minute(end),
        busiest=tuple(in_words.sensors[code] for code in _most_frequent(codes, _MOST_OBJECTS)),
    )


def _minute(time_us: int) -> str:
    hour, minute = divmod(time_us % US_PER_DAY // (60 * US_PER_SECOND), 60)
    return f"{(hour - 1) % 12 + 1}:{minute:02d} {'am' if hour < 12 else 'pm'}"


def _clock(hour: int) -> str:
    return f"after {(hour - 1) % 12 + 1} {'am' if hour < 12 else 'pm'}"


def span_words(seconds: float) -> str:
    """A length of time as a reader would say it: `40 seconds`, `3 minutes`, `2 hours`."""
    for size, unit in ((3600.0, "hour"), (60.0, "minute")):
        if seconds >= 1.5 * size or (unit == "minute" and seconds >= 55.0):
            count = max(1, round(seconds / size))
            return f"{count} {unit}{'s' if count > 1 else ''}"
    count = round(seconds)
    return f"{count} second{'' if count == 1 else 's'}" if count else "a moment"


def _path(visited: Sequence[str]) -> tuple[str, ...]:
    entered = [visited[0]]
    for room in visited[1:]:
        if room != entered[-1]:
            entered.append(room)
    return tuple(entered)


def _most_frequent(values: Sequence[T], most: int) -> list[T]:
    # Equal counts keep the order in which values first come; a set would vary from run to run.
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    return sorted(counts, key=lambda value: -counts[value])[:most]


def _joined(names: Sequence[str]) -> str:
    return " and ".join(f"the {name}" for name in names)


def _walk(facts: Facts) -> str:
    rooms = [f"the {room}" for room in facts.path]
    if len(rooms) == 1:
        return f"in {rooms[0]} throughout"
    if len(rooms) > _MOST_ROOMS:
        return f"between {len(set(rooms))} rooms, from {rooms[0]} to {rooms[-1]}"
    return f"from {rooms[0]} to " + ", then ".join(rooms[1:])


def _near(facts: Facts, opening: str) -> str:
    return f"{opening}{_joined(facts.near)}" if facts.near else ""


def _pick(choices: Choice, *options: str) -> str:
    return options[next(choices) % len(options)]


def _structured(facts: Facts) -> str:
    return (
        f"Started {facts.day} at {facts.started}, ended at {facts.ended}. "
        f"Mainly in the {facts.mainly}. Busiest: {' and '.join(facts.busiest)}."
    )


def _when_first(facts: Facts, choices: Choice) -> str:
    mover = _pick(choices, "someone moved", "there was movement", "sensors saw movement")
    return (
        f"{facts.day} {facts.part}, {facts.clock}: {mover} {_walk(facts)}"
        f"{_near(facts, ', near ')}, for {facts.span}."
    )


def _rooms_first(facts: Facts, choices: Choice) -> str:
    opening = _pick(choices, "Movement", "A trail of signals", "Signals")
    return (
        f"{opening} {_walk(facts)}, mostly in the {facts.mainly}"
        f"{_near(facts, ', close to ')}; {facts.part} on a {facts.day}, lasting {facts.span}."
    )


def _span_first(facts: Facts, choices: Choice) -> str:
    verb = _pick(choices, "spent mainly in", "mostly in", "centred on")
    return (
        f"{facts.span.capitalize()} {verb} the {facts.mainly}, {facts.part}, {facts.clock}"
        f"{_near(facts, '; passing ')}; {_walk(facts)}."
    )


def _place_first(facts: Facts, choices: Choice) -> str:
    where = _pick(choices, "In the", "Around the", "Mostly the")
    return (
        f"{where} {facts.mainly}{_near(facts, ', by ')}, on {facts.day} {facts.part}; "
        f"{_walk(facts)} within {facts.span}."
    )


# A wording or an order that changes makes another set: raise CODE_VERSION of prepare.py.
_TEMPLATES: tuple[Template, ...] = (_when_first, _rooms_first, _span_first, _place_first)
