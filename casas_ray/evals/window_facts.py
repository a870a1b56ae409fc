"""What a person is told of a window: when, in which rooms, by which sensors, in what words."""

# N windows, E events of windows, window after window, V values of a field

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casas_ray.corpus.alignment import FIELD_PREFIX, PreparedSet, flat, lengths
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.homes import words
from casas_ray.corpus.vocab import SPECIAL
from casas_ray.evals.features.seen import Ints, Labels, SeenWindows
from casas_ray.evals.tuned import UNLABELLED

UNKNOWN = "unknown"
"""Of a sensor, room or state that no training day has."""

_SHORT = 300
"""Letters of a caption that are told; captions of other pipelines may be pages long."""


@dataclass(frozen=True)
class WindowFact:
    """One window, as a person is told of it."""

    id: str
    home: str
    split: str
    start: str
    """Local time of its first event, `2011-06-15 01:03:39`."""

    seconds: float
    rooms: tuple[str, ...]
    """In words, the one with the most events first."""

    caption: str
    """Its first caption, or nothing where a set has none."""

    label: str
    """What somebody said was done, or nothing."""


@dataclass(frozen=True, eq=False)
class WindowFacts:
    """The facts of windows, in columns and window by window."""

    table: pa.Table
    """A row a window, as in the set."""

    split_N: Labels
    start_us_N: Ints
    """Local time of the first event, in microseconds since 1970-01-01."""

    seconds_N: NDArray[np.float64]
    """From the first event to the last."""

    captions: Sequence[str]
    """Distinct captions of the set, by id."""

    sensors: tuple[str, ...]
    """Names, by id; ids that stand for no sensor are `unknown`."""

    rooms: tuple[str, ...]
    """In words, by id."""

    states: tuple[str, ...]

    @classmethod
    def of(cls, prepared: PreparedSet, windows: SeenWindows) -> "WindowFacts":
        """The facts of a set's windows.

        Raises:
            DataError: the set's captions or vocabulary are damaged.
        """
        values = prepared.vocabulary.values
        sensors, rooms, states = (_names(values[name]) for name in ("sensor", "room", "state"))
        return cls(
            windows.table,
            np.array(windows.names)[windows.split_N],
            windows.start_us_N,
            (windows.end_us_N - windows.start_us_N) / US_PER_SECOND,
            prepared.captions(),
            sensors,
            tuple(words(room) for room in rooms),
            states,
        )

    def __len__(self) -> int:
        return len(self.split_N)

    @property
    def hour_N(self) -> Ints:
        """The hour in which each window starts, 0 to 23."""
        return self.start_us_N % US_PER_DAY // (3600 * US_PER_SECOND)

    @property
    def day_N(self) -> Ints:
        """The day on which each window starts, counted from 1970-01-01."""
        return self.start_us_N // US_PER_DAY

    @property
    def weekday_N(self) -> Ints:
        """The day of the week, 0 to 6 from Monday."""
        return (self.day_N + 3) % 7  # 1970-01-01 was a Thursday

    @cached_property
    def homes(self) -> Labels:
        """The home of each window."""
        return np.array(self.table.column("home").to_pylist())

    @cached_property
    def labels(self) -> Labels:
        """What somebody said was done, one a window; nothing where nobody said it."""
        held = np.array(self.table.column("label").to_pylist())
        return np.where(np.isin(held, sorted(UNLABELLED)), "", held)

    @property
    def has_labels(self) -> bool:
        """Whether somebody labelled windows."""
        return bool((self.labels != "").any())

    @cached_property
    def caption_N(self) -> Ints:
        """The id of each window's first caption; -1 for one without."""
        counts_N = lengths(self.table, "captions")
        ids = np.append(flat(self.table, "captions").astype(np.int64), -1)
        return np.where(counts_N > 0, ids[np.cumsum(counts_N) - counts_N], -1)

    @cached_property
    def window_E(self) -> Ints:
        """The index of each event's window."""
        length_N = self.table.column("length").to_numpy().astype(np.int64)
        return np.repeat(np.arange(len(self)), length_N)

    @cached_property
    def sensor_E(self) -> Ints:
        """The id of each event's sensor."""
        return flat(self.table, FIELD_PREFIX + "sensor").astype(np.int64)

    @cached_property
    def room_NV(self) -> NDArray[np.int32]:
        """How many of each window's events are in each room."""
        ids = flat(self.table, FIELD_PREFIX + "room").astype(np.int64)
        return _counts(self.window_E, ids, len(self), len(self.rooms))

    @property
    def sensor_NV(self) -> NDArray[np.int32]:
        """How many of each window's events are of each sensor."""
        return _counts(self.window_E, self.sensor_E, len(self), len(self.sensors))

    @cached_property
    def main_room_N(self) -> Ints:
        """The id of the room with the most of each window's events."""
        return self.room_NV.argmax(axis=1)

    def caption(self, window: int) -> str:
        """The window's first caption, shortened where it is long."""
        index = int(self.caption_N[window])
        text = self.captions[index] if index >= 0 else ""
        return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"

    def fact(self, window: int) -> WindowFact:
        """What a person is told of one window, by its index."""
        counts_V = self.room_NV[window]
        ranked = np.argsort(-counts_V, kind="stable")
        return WindowFact(
            self.table.column("id")[window].as_py(),
            str(self.homes[window]),
            str(self.split_N[window]),
            time_text(int(self.start_us_N[window])),
            float(self.seconds_N[window]),
            tuple(self.rooms[room] for room in ranked[: np.count_nonzero(counts_V)].tolist()),
            self.caption(window),
            str(self.labels[window]),
        )

    def events(self, window: int) -> list[tuple[float, str, str]]:
        """A window's events: seconds since its first, sensor, state."""
        row = self.table.slice(window, 1)
        gaps = flat(row, "gap_seconds").astype(np.float64)
        gaps[:1] = 0.0  # it lies before the window
        sensors, states = (flat(row, FIELD_PREFIX + name).tolist() for name in ("sensor", "state"))
        return [
            (passed, self.sensors[sensor], self.states[state])
            for passed, sensor, state in zip(np.cumsum(gaps).tolist(), sensors, states, strict=True)
        ]


def time_text(time_us: int) -> str:
    """`2011-06-15 01:03:39` for local microseconds since 1970-01-01."""
    return str(np.datetime64(time_us // US_PER_SECOND, "s")).replace("T", " ")


def _names(values: Sequence[str]) -> tuple[str, ...]:
    return (UNKNOWN,) * len(SPECIAL) + tuple(values[len(SPECIAL) :])


def _counts(window_E: Ints, id_E: Ints, windows: int, values: int) -> NDArray[np.int32]:
    counted = np.bincount(window_E * values + id_E, minlength=windows * values)
    return counted.astype(np.int32).reshape(windows, values)
