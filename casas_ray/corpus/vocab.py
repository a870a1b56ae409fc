"""What can be said of an event, and the ids of its values, fitted on training days alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import Coded, Events
from casas_ray.corpus.homes import Home

# Checkpoints and prepared sets hold these ids.
PAD, UNK, MASK = 0, 1, 2
SPECIAL = ("[PAD]", "[UNK]", "[MASK]")
MOST_VALUES = 32_000
"""Values of one field; ids are kept in 16 bits."""

FIELDS = (
    "sensor",
    "room",
    "state",
    "sensor_type",
    "time_of_day",
    "time_gap",
    "day_of_week",
    "floor",
)
REQUIRED_FIELDS = FIELDS[:6]

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GAPS = (
    (0.0, "dt_0"),
    (60.0, "dt_lt1min"),
    (120.0, "dt_1_2min"),
    (300.0, "dt_2_5min"),
    (600.0, "dt_5_10min"),
    (1800.0, "dt_10_30min"),
)
_LONGEST_GAP = "dt_gt30min"


def part_of_day(hour: int) -> str:
    """The bucket of an hour, 0 to 23: `early_morning` is 5 to 8, and so on round the clock."""
    if hour < 5:
        return "night_after_midnight"
    if hour < 8:
        return "early_morning"
    if hour < 12:
        return "late_morning"
    if hour < 17:
        return "afternoon"
    return "evening" if hour < 21 else "night_before_midnight"


def field_columns(events: Events, home: Home) -> dict[str, Coded]:
    """Every field that this home has, one value an event."""
    sensors = [home.sensors[name] for name in events.sensor.names]
    columns = {
        "sensor": events.sensor,
        "room": events.sensor.translated(sensor.room for sensor in sensors),
        "state": events.state,
        "sensor_type": events.sensor.translated(sensor.type for sensor in sensors),
        "time_of_day": _looked_up(events.hour, tuple(part_of_day(hour) for hour in range(24))),
        "time_gap": _gap_column(events.gap_seconds),
        # 1970-01-01 was a Thursday.
        "day_of_week": _looked_up((events.day + 3) % 7, _DAYS),
    }
    if any(sensor.floor for sensor in sensors):
        columns["floor"] = events.sensor.translated(sensor.floor or "unknown" for sensor in sensors)
    return columns


def gap_seconds_of(bucket: str) -> float | None:
    """A time that lies in the bucket, for files that tell no more: the middle of its limits; None
    for a bucket that nobody knows. `dt_1-2min` is `dt_1_2min`."""
    bucket = bucket.lower().replace("-", "_").replace("<", "lt").replace(">", "gt")
    names = [name for _, name in _GAPS]
    if bucket not in names:
        return _GAPS[-1][0] if bucket == _LONGEST_GAP else None
    index = names.index(bucket)
    return (_GAPS[max(0, index - 1)][0] + _GAPS[index][0]) / 2


def gap_buckets() -> tuple[str, ...]:
    """The name of every bucket of time since the event before."""
    return (*(name for _, name in _GAPS), _LONGEST_GAP)


def _gap_column(seconds: NDArray[np.float64]) -> Coded:
    """The bucket of each time since the previous event; `dt_0` is exactly none."""
    names = gap_buckets()
    limits = np.array([limit for limit, _ in _GAPS[1:]])
    # dt_0 is no range but exactly zero, so the ranges count from 1.
    codes = np.searchsorted(limits, seconds, side="right") + 1
    return Coded(np.where(seconds <= 0.0, 0, codes).astype(np.int32), names)


def _looked_up(index: NDArray[np.int64], names: tuple[str, ...]) -> Coded:
    return Coded(index.astype(np.int32), names).translated(names)


@dataclass(frozen=True)
class Vocabulary:
    """For each field its values; a value's id is its index, and PAD, UNK and MASK come first."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, columns: Iterable[Mapping[str, Coded]]) -> "Vocabulary":
        """Ids in alphabetical order for the values of each home's columns of its training days."""
        values: dict[str, set[str]] = {}
        for home_columns in columns:
            for field, column in home_columns.items():
                # Not all of its names: those of other days stand among them, and count 0 here.
                values.setdefault(field, set()).update(column.counts())
        fields = [field for field in FIELDS if field in values]
        return cls({field: SPECIAL + tuple(sorted(values[field])) for field in fields})

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it knows, in order."""
        return tuple(self.values)

    def sizes(self) -> dict[str, int]:
        """Ids in each field, the three special ones included."""
        return {field: len(values) for field, values in self.values.items()}

    def ids(self, field: str) -> dict[str, int]:
        """The id of each value of a field, the special ones left out."""
        return {name: id_ for id_, name in enumerate(self.values[field]) if id_ >= len(SPECIAL)}

    def encode(self, field: str, column: Coded) -> NDArray[np.int16]:
        """Ids of a column; a value that training never saw is UNK."""
        ids = self.ids(field)
        table = np.array([ids.get(name, UNK) for name in column.names], dtype=np.int16)
        return table[column.codes]
