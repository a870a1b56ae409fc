"""Events as records: window after window, or each event once, so that what lies around a window is
at hand."""

# N windows, R events of windows (one that lies in two windows counts twice), E records, F fields

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casas_ray.corpus.alignment import FIELD_PREFIX, flat
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.vocab import PAD

Ints = NDArray[np.int64]


def fields_of(table: pa.Table) -> tuple[str, ...]:
    """The fields of the vocabulary that a table of windows has."""
    names = (name for name in table.column_names if name.startswith(FIELD_PREFIX))
    return tuple(name.removeprefix(FIELD_PREFIX) for name in names)


def lengths_of(table: pa.Table) -> NDArray[np.int16]:
    """The number of events of each window, N."""
    return table.column("length").to_numpy()


def records_of(table: pa.Table, fields: Sequence[str], padding: int) -> NDArray[np.void]:
    """One record an event, window after window, and so many of PAD at the end."""
    gaps = flat(table, "gap_seconds")
    # Numbers first, so that they stay where a device wants them, at multiples of four.
    # Little-endian and without gaps, since a batch is cut from the bytes.
    even = len(fields) + len(fields) % 2
    kind = np.dtype(
        {
            "names": ["gap_seconds", "xy", "sensor_text", "day_seconds", "ids"],
            "formats": ["<f4", ("<f4", 2), "<i4", "<f4", ("<i2", len(fields))],
            "offsets": [0, 4, 12, 16, 20],
            "itemsize": 20 + 2 * even,
        }
    )
    events = np.zeros(len(gaps) + padding, dtype=kind)
    real = events[: len(gaps)]
    real["gap_seconds"] = gaps
    real["sensor_text"] = flat(table, "sensor_text")
    real["day_seconds"] = event_times_us(table) % US_PER_DAY / US_PER_SECOND
    for column, field in enumerate(fields):
        real["ids"][:, column] = flat(table, FIELD_PREFIX + field)
    real["xy"][:, 0], real["xy"][:, 1] = flat(table, "x"), flat(table, "y")
    _pad(events[len(gaps) :])
    return events


def event_times_us(table: pa.Table) -> Ints:
    """The time of each event of each window, R, in microseconds; that of a window's first is exact,
    the others are added up of gaps."""
    length_N = lengths_of(table).astype(np.int64)
    first_N = np.cumsum(length_N) - length_N
    gap_R = np.nan_to_num(flat(table, "gap_seconds").astype(np.float64))
    gap_us_R = np.rint(gap_R * US_PER_SECOND).astype(np.int64)
    gap_us_R[first_N] = 0  # it lies before the window
    passed_R = np.cumsum(gap_us_R)
    start_N = table.column("start_us").to_numpy() - passed_R[first_N]
    return passed_R + np.repeat(start_N, length_N)


@dataclass(frozen=True)
class EventsOnce:
    """The events of a split's windows, each once, in the order of the set."""

    events: NDArray[np.void]
    """E records, and PAD at the end."""

    time_us_E: Ints
    first_record_N: Ints
    """For each window the index of its first event among the records."""

    stretch_first_E: Ints
    """For each record the first of its stretch: days of one home with none of another split
    between."""

    stretch_after_E: Ints
    """And the one after the stretch's last."""

    @classmethod
    def of(cls, table: pa.Table, fields: Sequence[str], padding: int) -> "EventsOnce":
        """The events of a table that has one split's windows, all of them."""
        length_N = lengths_of(table).astype(np.int64)
        first_event_N = table.column("first_event").to_numpy()
        offset_N = first_event_N - (np.cumsum(length_N) - length_N)
        event_R = np.arange(int(length_N.sum())) + np.repeat(offset_N, length_N)
        event_E, row_E = np.unique(event_R, return_index=True)
        repeated = records_of(table, fields, padding)
        homes = table.column("home").combine_chunks().dictionary_encode()
        home_N = homes.indices.to_numpy(zero_copy_only=False)
        time_us_E = event_times_us(table)[row_E]
        edges = _edges(event_E, time_us_E, np.repeat(home_N, length_N)[row_E])
        stretch_E = np.searchsorted(edges, np.arange(len(event_E)), side="right") - 1
        # By one index: numpy joins arrays of records into records without our padding.
        kept = np.concatenate([row_E, np.arange(len(event_R), len(repeated))])
        return cls(
            repeated[kept],
            time_us_E,
            np.searchsorted(event_E, first_event_N),
            edges[stretch_E],
            edges[stretch_E + 1],
        )


def _edges(event_E: Ints, time_us_E: Ints, home_E: NDArray[np.integer]) -> Ints:
    """The first record of each stretch, and the number of records."""
    # Events that no window took are missing here too. Days of another split are missing whole: only
    # where a whole day may lie between two events, one of another split may.
    days_E = np.diff(time_us_E // US_PER_DAY)
    apart_E = (np.diff(event_E) > 1) & (days_E > 1)
    breaks = np.flatnonzero(apart_E | (np.diff(home_E) != 0)) + 1
    return np.concatenate([[0], breaks, [len(event_E)]])


def _pad(events: NDArray[np.void]) -> None:
    events["ids"] = PAD
    events["xy"] = np.nan
