"""The event table: one row an event, in time order, whatever dialect it came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Whole microseconds: a double of seconds since 1970 would round the logs' six digits.
US_PER_SECOND = 1_000_000
US_PER_DAY = 86_400 * US_PER_SECOND

NO_ACTIVITY = "no_activity"


@dataclass(frozen=True)
class Coded:
    """N strings as codes into a list of distinct names."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> "Coded":
        """Codes in the order in which values first appear."""
        index: dict[str, int] = {}
        codes = [index.setdefault(value, len(index)) for value in values]
        return cls(np.asarray(codes, dtype=np.int32), tuple(index))

    def translated(self, names: Iterable[str]) -> "Coded":
        """The same rows after each name became another; equal names are merged."""
        merged = Coded.of(list(names))
        return Coded(merged.codes[self.codes], merged.names)

    def take(self, rows: NDArray[np.int64]) -> "Coded":
        """The chosen rows, over the same names."""
        return Coded(self.codes[rows], self.names)

    def counts(self) -> dict[str, int]:
        """How often each name stands here, most often first."""
        counts = np.bincount(self.codes, minlength=len(self.names)).tolist()
        pairs = sorted(zip(self.names, counts, strict=True), key=lambda pair: -pair[1])
        return {name: count for name, count in pairs if count}


@dataclass(frozen=True)
class Events:
    """N events of one home, sorted by time; ties keep the log's order."""

    time_us: NDArray[np.int64]
    """Local wall-clock time in microseconds since 1970-01-01, as if no clock ever changed."""

    line: NDArray[np.int64]
    """Line in the log, counted from 1."""

    sensor: Coded
    state: Coded
    label: Coded
    """One activity, or `no_activity`."""

    def __len__(self) -> int:
        return len(self.time_us)

    def taken(self, rows: NDArray[np.int64]) -> "Events":
        """The chosen rows."""
        coded = (column.take(rows) for column in (self.sensor, self.state, self.label))
        return Events(self.time_us[rows], self.line[rows], *coded)

    @property
    def day(self) -> NDArray[np.int64]:
        """Days since 1970-01-01."""
        return self.time_us // US_PER_DAY

    @property
    def hour(self) -> NDArray[np.int64]:
        """Hour of the day, 0 to 23."""
        return self.time_us % US_PER_DAY // (3600 * US_PER_SECOND)

    @property
    def gap_seconds(self) -> NDArray[np.float64]:
        """Seconds since the event before; the log's first event has 0."""
        return np.diff(self.time_us, prepend=self.time_us[:1]) / US_PER_SECOND


def date_text(day: int) -> str:
    """`2011-06-15` for a count of days since 1970-01-01."""
    return str(np.datetime64(int(day), "D"))
