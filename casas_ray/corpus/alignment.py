"""The alignment set: its schema, and how a prepared folder is written and read.

    NAME-HASH/
      manifest.json      what made it and what is in it
      vocab.json         for each field its values; an id is a place in the list
      captions.parquet   distinct captions, by id
      train.parquet val.parquet test.parquet    one row a window
      events.parquet     the events that windows refer to, with their lines in the log
      quarantine.tsv     every line not used: number, reason, text

A folder that exists is whole: it is written under another name and renamed at the end.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casas_ray.corpus.vocab import Vocabulary
from casas_ray.errors import DataError
from casas_ray.places import shown

MANIFEST, VOCAB, CAPTIONS = "manifest.json", "vocab.json", "captions.parquet"
FIELD_PREFIX = "id_"


@dataclass(frozen=True)
class WindowColumns:
    """N windows of at most L events as columns; what is not an event is PAD, 0 or NaN."""

    first_event: NDArray[np.int64]
    start_us: NDArray[np.int64]
    length: NDArray[np.int16]
    ids: Mapping[str, NDArray[np.int16]]
    """By field, N x L."""

    gap_seconds: NDArray[np.float32]
    """N x L: time since the event before, also across the window's start."""

    xy: NDArray[np.float32]
    """N x L x 2: position on the floor plan, its longer side 1; NaN where unknown."""

    caption_ids: NDArray[np.int32]
    """N x C."""

    label: Sequence[str]
    shares: Sequence[Sequence[tuple[str, float]]]

    def table(self) -> pa.Table:
        """One row a window."""
        longest = self.gap_seconds.shape[1]
        columns: dict[str, pa.Array] = {
            "first_event": pa.array(self.first_event),
            "start_us": pa.array(self.start_us),
            "length": pa.array(self.length),
            "gap_seconds": _fixed(self.gap_seconds, longest),
            "xy": _fixed(self.xy.reshape(len(self.xy), -1), longest * 2),
            "captions": _fixed(self.caption_ids, self.caption_ids.shape[1]),
            "label": pa.array(self.label, pa.string()),
            "labels": pa.array([[name for name, _ in row] for row in self.shares]),
            "shares": pa.array([[share for _, share in row] for row in self.shares]),
        }
        for field, ids in self.ids.items():
            columns[FIELD_PREFIX + field] = _fixed(ids, longest)
        return pa.table(columns)


def _fixed(values: NDArray[Any], width: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width)


def matrix(table: pa.Table, column: str) -> NDArray[Any]:
    """A fixed-size-list column as rows x width, without a copy where Arrow allows it."""
    chunk = table.column(column).combine_chunks()
    width = chunk.type.list_size
    values = chunk.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, width)


@dataclass(frozen=True)
class PreparedSet:
    """A prepared folder, opened."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
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
        """Whether its log came from the simulator."""
        return bool(self.manifest["simulated"])

    @property
    def fingerprint(self) -> str:
        """Changes when the log, a setting that shapes the set, or the preparing code changes."""
        return self.manifest["fingerprint"]

    def windows(self, split: str) -> pa.Table:
        """The windows of `train`, `val` or `test`."""
        return pq.read_table(self.folder / f"{split}.parquet", memory_map=True)

    def captions(self) -> list[str]:
        """Distinct captions; a window's caption ids are places in this list."""
        return pq.read_table(self.folder / CAPTIONS).column("caption").to_pylist()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends well and vanishes when it does
    not.

    When somebody else finished the same target meanwhile, theirs stays: both hold the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
        draft.chmod(0o755)
        try:
            draft.replace(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    """`vocab.json`: lists whose places are the ids."""
    values = {field: list(names) for field, names in vocabulary.values.items()}
    (folder / VOCAB).write_text(json.dumps(values, indent=1), encoding="utf-8")


def write_captions(folder: Path, captions: Sequence[str]) -> None:
    """`captions.parquet`: a caption's id is its row."""
    pq.write_table(pa.table({"caption": pa.array(captions, pa.string())}), folder / CAPTIONS)


def write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    """`manifest.json`, the last file of a set."""
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def caption_index(
    splits: Sequence[Sequence[Sequence[str]]],
) -> tuple[list[str], list[NDArray[np.int32]]]:
    """The distinct captions of all splits, and for each split the ids of each window's own (N x
    C)."""
    index: dict[str, int] = {}
    ids = [
        np.array(
            [[index.setdefault(text, len(index)) for text in row] for row in rows], dtype=np.int32
        )
        for rows in splits
    ]
    return list(index), ids
