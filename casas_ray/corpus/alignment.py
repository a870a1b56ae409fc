"""The alignment set: its schema, and how a prepared folder is written and read.

    NAME-HASH/
      manifest.json      what made it and what is in it
      vocab.json         for each field its values; an id is an index in the list
      captions.parquet   distinct captions and descriptions of sensors, by id
      train.parquet val.parquet test.parquet    one row a window
      events.parquet     the events that windows refer to, with their lines in the log
      activities.parquet every annotated activity, also those that overlap
      quarantine.tsv     every line not used: home, number, reason, text

A folder that exists is whole: it is written under another name and renamed at the end. Windows are
written and read piece by piece, so that memory does not grow with their number.

Files, columns and keys are a format that is out in the world: a change of them needs a migration.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casas_ray.corpus.vocab import Vocabulary
from casas_ray.errors import DataError
from casas_ray.files import sha256_of, shown, why, write_json

MANIFEST, VOCAB, CAPTIONS = "manifest.json", "vocab.json", "captions.parquet"
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


@dataclass(frozen=True)
class PreparedSet:
    """A prepared folder, opened."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:  # Any: what JSON holds
        """What made the set and what is in it.

        Raises:
            DataError: the folder holds no manifest that parses.
        """
        path = self.folder / MANIFEST
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise DataError(
                f"{shown(path)} is missing or torn.",
                hint=f"delete {shown(self.folder)} and prepare again.",
            ) from None

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The ids of every field's values."""
        values = json.loads((self.folder / VOCAB).read_text(encoding="utf-8"))
        return Vocabulary({field: tuple(names) for field, names in values.items()})

    @property
    def simulated(self) -> bool:
        """Whether its logs came from the simulator."""
        return bool(self.manifest["simulated"])

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every table made from this set has to say of it."""
        return tuple(self.manifest["caveats"])

    @property
    def fingerprint(self) -> str:
        """A hash that changes with the logs, the settings that shape the set, or the code."""
        return self.manifest["fingerprint"]

    def size_on_disk(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def windows(self, split: str) -> pa.Table:
        """The windows of `train`, `val` or `test`."""
        return pq.read_table(self.folder / f"{split}.parquet", memory_map=True)

    def lengths(self, split: str) -> NDArray[np.int16]:
        """Number of events of every window of a split."""
        table = pq.read_table(self.folder / f"{split}.parquet", columns=["length"])
        return table.column("length").to_numpy()

    def piece(self, split: str, start: int, stop: int) -> pa.Table:
        """The windows from `start` up to, not including, `stop`.

        Only the row groups that hold them are read.
        """
        file = pq.ParquetFile(self.folder / f"{split}.parquet")
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        first, last = np.searchsorted(ends, [start, stop - 1], side="right").tolist()
        table = file.read_row_groups(list(range(first, min(last, len(sizes) - 1) + 1)))
        return table.slice(start - int(ends[first] - sizes[first]), stop - start)

    def captions(self) -> list[str]:
        """Distinct captions; a window's caption ids are indices into this list."""
        return pq.read_table(self.folder / CAPTIONS).column("caption").to_pylist()


def write_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    """Write `vocab.json`: lists whose indices are the ids."""
    write_json(folder / VOCAB, {field: list(names) for field, names in vocabulary.values.items()})


def write_captions(folder: Path, captions: Sequence[str]) -> None:
    """Write `captions.parquet`: a caption's id is its row."""
    pq.write_table(pa.table({"caption": pa.array(captions, pa.string())}), folder / CAPTIONS)


def write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    """Write `manifest.json`, the last file of a set."""
    write_json(folder / MANIFEST, manifest)


def input_hash(path: Path, hint: str) -> str:
    """The SHA-256 of a file that somebody named.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except (OSError, ValueError) as error:  # a name may hold what no path can
        raise DataError(f"{shown(path)}: {why(error)}.", hint=hint) from None


class CaptionIndex:
    """Distinct captions with an id each, in the order in which they first come."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def add(self, rows: Sequence[Sequence[str]]) -> list[NDArray[np.int32]]:
        """The ids of each row's captions."""
        ids = self._ids
        return [
            np.array([ids.setdefault(text, len(ids)) for text in row], dtype=np.int32)
            for row in rows
        ]

    @property
    def captions(self) -> list[str]:
        """Every caption; its id is its index."""
        return list(self._ids)
