"""Windows as columns: their schema, how they are written piece by piece, and what is read of a list
column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

FIELD_PREFIX = "id_"
WINDOWS_PER_GROUP = 16_384
"""Windows that are built, written and read at a time."""


@dataclass(frozen=True)
class WindowColumns:
    """N windows as columns; what is told of events (E in all) stands window after window."""

    id: Sequence[str]
    home: Sequence[str]
    first_event: NDArray[np.int64]
    start_us: NDArray[np.int64]
    length: NDArray[np.int16]
    ids: Mapping[str, NDArray[np.int16]]
    """By field, E: the id of the event's value."""

    gap_seconds: NDArray[np.float32]
    """E: time since the event before, also across the window's start."""

    xy: NDArray[np.float32]
    """E x 2: position on the floor plan, its longer side 1; NaN where unknown."""

    sensor_text: NDArray[np.int32]
    """E: what the event's sensor is in words, as an index into the captions' list."""

    caption_ids: Sequence[NDArray[np.int32]]
    """For each window its captions, one or more."""

    label: Sequence[str]
    shares: Sequence[Sequence[tuple[str, float]]]

    def table(self) -> pa.Table:
        """The windows as an Arrow table, one row a window."""
        counts = [len(row) for row in self.caption_ids]
        columns: dict[str, pa.Array] = {
            "id": pa.array(self.id, pa.string()),
            "home": pa.array(self.home, pa.string()),
            "first_event": pa.array(self.first_event),
            "start_us": pa.array(self.start_us),
            "length": pa.array(self.length),
            "gap_seconds": _lists(self.gap_seconds, self.length),
            "x": _lists(np.ascontiguousarray(self.xy[:, 0]), self.length),
            "y": _lists(np.ascontiguousarray(self.xy[:, 1]), self.length),
            "sensor_text": _lists(self.sensor_text, self.length),
            "captions": _lists(np.concatenate(self.caption_ids), counts),
            "label": pa.array(self.label, pa.string()),
            "labels": pa.array([[name for name, _ in row] for row in self.shares]),
            "shares": pa.array([[share for _, share in row] for row in self.shares]),
        }
        for field, ids in self.ids.items():
            columns[FIELD_PREFIX + field] = _lists(ids, self.length)
        return pa.table(columns)


def _lists(values: NDArray[np.generic], lengths: Sequence[int] | NDArray[np.integer]) -> pa.Array:
    # Arrow's lists have 32-bit offsets: a table holds 2^31 values of a column at most, which a
    # piece of WINDOWS_PER_GROUP windows never reaches.
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def flat(table: pa.Table, column: str) -> NDArray[Any]:  # Any: numbers of the column's own type
    """The values of a list column, row after row."""
    # flatten() heeds a slice's offset; `.values` would give the whole parent's values.
    parts = [chunk.flatten() for chunk in table.column(column).chunks]
    arrays = [part.to_numpy(zero_copy_only=False) for part in parts]
    return np.concatenate(arrays) if arrays else np.empty(0)


def lengths(table: pa.Table, column: str) -> NDArray[np.int64]:
    """Number of values in each row of a list column."""
    parts = [np.diff(chunk.offsets.to_numpy()) for chunk in table.column(column).chunks]
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)


class SplitWriter:
    """The windows of one split, written piece by piece."""

    def __init__(self, folder: Path, split: str) -> None:
        self._path = folder / f"{split}.parquet"
        self._writer: pq.ParquetWriter | None = None
        self.windows = 0

    def __enter__(self) -> "SplitWriter":
        return self

    def add(self, columns: WindowColumns) -> None:
        """Write more windows after those before."""
        table = columns.table()
        # Opened late, for the schema depends on the home's fields. A split without windows would
        # leave no file: who prepares refuses it.
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=WINDOWS_PER_GROUP)
        self.windows += table.num_rows

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
