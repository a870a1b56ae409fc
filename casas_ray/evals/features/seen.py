"""Windows with the events around them, and how far each of them may look."""

# N windows, E events of the set

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casas_ray.corpus.alignment import FIELD_PREFIX, PreparedSet, flat
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.set_checks import reading
from casas_ray.corpus.split import SPLITS
from casas_ray.corpus.windows import Windows

Ints = NDArray[np.int64]
Labels = NDArray[np.str_]
"""Names of activities, one a window."""

_DAYS_PER_HOME = 10_000_000
_NO_SPLIT = -1


class Coding(NamedTuple):
    """What the codes of sensors and states stand for."""

    homes: tuple[str, ...]
    """A home's sensors have the codes from its index times the number of sensors on; none where a
    sensor has one code in all homes."""

    sensors: tuple[str, ...]
    states: tuple[str, ...]


NO_CODING = Coding((), (), ())
"""Of windows whose codes nobody needs to name."""


@dataclass(frozen=True, eq=False)
class SeenWindows:
    """The windows of some splits, home after home and split after split, with their events."""

    table: pa.Table
    """A row a window, as in the set."""

    names: tuple[str, ...]
    """The splits that were read."""

    split_N: Ints
    """For each window the index of its split."""

    ranges: Windows
    """For each window its events, as indices into those below."""

    time_us_E: Ints
    sensor_E: Ints
    """Codes; sensors of two homes have two codes."""

    state_E: Ints
    day_E: Ints
    """Days since 1970, and so many more for each home that days of two homes differ."""

    split_E: Ints
    """The index of the split whose day it is; -1 for days of splits that were not read."""

    has_context: bool
    """Whether there are events beside those of windows; alignment JSON has none."""

    coding: Coding = NO_CODING

    def __len__(self) -> int:
        return len(self.split_N)

    @classmethod
    def of(cls, prepared: PreparedSet, splits: Sequence[str]) -> "SeenWindows":
        """The windows of these splits of a set.

        Raises:
            DataError: a file of the set is damaged.
        """
        tables = [prepared.windows(split) for split in splits]
        table = pa.concat_tables(tables)
        split_N = np.repeat(np.arange(len(splits)), [len(part) for part in tables])
        first_N = table.column("first_event").to_numpy()
        if len(first_N) and first_N.min() < 0:
            values = prepared.vocabulary.values
            coding = Coding((), values["sensor"], values["state"])
            return _without_context(table, tuple(splits), split_N, coding)
        with reading(prepared.folder / "events.parquet") as path:
            events = pq.read_table(path)
        homes = _codes(events.column("home"))
        day_E = _home_days(homes[0], events.column("time_us").to_numpy())
        sensors, states = _codes(events.column("sensor")), _codes(events.column("state"))
        return cls(
            table,
            tuple(splits),
            split_N,
            Windows(first_N, first_N + table.column("length").to_numpy()),
            events.column("time_us").to_numpy(),
            homes[0] * len(sensors[1]) + sensors[0],
            states[0],
            day_E,
            _split_of_days(prepared, splits, homes[1], day_E),
            has_context=True,
            coding=Coding(homes[1], sensors[1], states[1]),
        )

    @cached_property
    def labels(self) -> Labels:
        """What somebody says was done, one a window."""
        return np.array(self.table.column("label").to_pylist())

    @property
    def home_E(self) -> Ints:
        """The index of each event's home."""
        return self.day_E // _DAYS_PER_HOME

    @cached_property
    def day_N(self) -> Ints:
        """The day of each window's first event."""
        return self.day_E[self.ranges.first]

    @cached_property
    def start_us_N(self) -> Ints:
        """The time of each window's first event."""
        return self.time_us_E[self.ranges.first]

    @cached_property
    def end_us_N(self) -> Ints:
        """The time of each window's last event."""
        return self.time_us_E[self.ranges.after - 1]

    @cached_property
    def event_rows(self) -> tuple[Ints, Ints]:
        """Window after window, the window's index and the event's, one an event."""
        return np.repeat(np.arange(len(self)), self.ranges.length), self.ranges.rows()

    def rows_of(self, split: str) -> Ints:
        """The indices of a split's windows."""
        return np.flatnonzero(self.split_N == self.names.index(split))


def _without_context(
    table: pa.Table, names: tuple[str, ...], split_N: Ints, coding: Coding
) -> SeenWindows:
    """Each window with its own events, of which there is a copy a window."""
    length_N = table.column("length").to_numpy().astype(np.int64)
    after_N = np.cumsum(length_N)
    ranges = Windows(after_N - length_N, after_N)
    gap_us_E = np.rint(flat(table, "gap_seconds").astype(np.float64) * US_PER_SECOND)
    gap_us_E[ranges.first] = 0.0  # it lies before the window
    passed_E = np.cumsum(gap_us_E)
    start_N = table.column("start_us").to_numpy()
    offset_N = start_N - passed_E[ranges.first]
    time_us_E = np.rint(passed_E + np.repeat(offset_N, length_N)).astype(np.int64)
    homes = _codes(table.column("home"))[0]
    return SeenWindows(
        table,
        names,
        split_N,
        ranges,
        time_us_E,
        flat(table, FIELD_PREFIX + "sensor").astype(np.int64),
        flat(table, FIELD_PREFIX + "state").astype(np.int64),
        np.repeat(_home_days(homes, start_N), length_N),
        np.repeat(split_N, length_N),
        has_context=False,
        coding=coding,
    )


def _codes(column: pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    """The column as codes, and what each code means."""
    coded = column.combine_chunks()
    if not isinstance(coded, pa.DictionaryArray):
        coded = coded.dictionary_encode()
    names = tuple(coded.dictionary.to_pylist())
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), names


def _home_days(home_E: Ints, time_us_E: Ints) -> Ints:
    return home_E * _DAYS_PER_HOME + time_us_E // US_PER_DAY


def _split_of_days(
    prepared: PreparedSet, splits: Sequence[str], homes: Sequence[str], day_E: Ints
) -> Ints:
    """For each event the index of its day's split."""
    index: dict[int, int] = {}
    for code, home in enumerate(homes):
        days: Mapping[str, Sequence[str]] = prepared.manifest["homes"][home]["days"]
        for split in set(splits) & set(SPLITS):
            since_1970 = np.array(days[split], "datetime64[D]").astype(np.int64)
            index |= dict.fromkeys(
                (code * _DAYS_PER_HOME + since_1970).tolist(), splits.index(split)
            )
    known, inverse_E = np.unique(day_E, return_inverse=True)
    return np.array([index.get(day, _NO_SPLIT) for day in known.tolist()])[inverse_E]
