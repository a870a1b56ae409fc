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

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casas_ray.corpus.manifest import Manifest
from casas_ray.corpus.set_checks import AGAIN, reading, refuse_odd
from casas_ray.corpus.vocab import SPECIAL, Vocabulary
from casas_ray.corpus.window_table import (
    FIELD_PREFIX,
    WINDOWS_PER_GROUP,
    SplitWriter,
    WindowColumns,
    flat,
    lengths,
)
from casas_ray.errors import DataError
from casas_ray.files import sha256_of, shown, why, write_json
from casas_ray.sealed import damaged, fitted, read_sealed, write_sealed

__all__ = [
    "FIELD_PREFIX",
    "WINDOWS_PER_GROUP",
    "CaptionIndex",
    "PreparedSet",
    "SplitWriter",
    "WindowColumns",
    "flat",
    "input_hash",
    "lengths",
    "write_captions",
    "write_manifest",
    "write_vocabulary",
]

MANIFEST, VOCAB, CAPTIONS = "manifest.json", "vocab.json", "captions.parquet"
HASHES = "files"
"""The manifest's key of the SHA-256 of every other file of the set, by name."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared folder, opened."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:  # Any: what JSON holds
        """What made the set and what is in it.

        Raises:
            DataError: the folder holds no manifest, or it is torn or was changed.
        """
        path = self.folder / MANIFEST
        held = read_sealed(path, hint=AGAIN)
        fitted(Manifest, held, path, hint=AGAIN)
        return held

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The ids of every field's values.

        Raises:
            DataError: `vocab.json` is damaged.
        """
        path = self.folder / VOCAB
        values = fitted(dict[str, list[str]], read_sealed(path, hint=AGAIN), path, hint=AGAIN)
        sizes = {field: len(names) for field, names in values.items()}
        special = all(tuple(names[: len(SPECIAL)]) == SPECIAL for names in values.values())
        if not special or sizes != self.manifest["fields"]:
            raise damaged(path, "its fields are not those of the manifest", hint=AGAIN)
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

    @property
    def made_of(self) -> dict[str, str]:
        """The SHA-256 of the files that were given as its windows, by what they are: train, vocab
        and so on; empty for a set that was made of logs."""
        sources = self.manifest.get("sources", {})
        return {what: source["sha256"] for what, source in sources.items()}

    @property
    def about(self) -> dict[str, object]:
        """What a record of a study keeps of it: whose it is, and what it was made of."""
        sources = self.manifest.get("sources", {})
        return {"home": self.manifest["home"], "fingerprint": self.fingerprint, "files": sources}

    @cached_property
    def galleries(self) -> dict[str, str]:
        """By split a hash of what retrieval is judged on: its windows' moments and first captions.

        Ranks among other windows or other captions compare with nothing here.
        """
        texts = self.captions()
        return {split: self._gallery(split, texts) for split in self.manifest["windows"]}

    def _gallery(self, split: str, texts: Sequence[str]) -> str:
        columns = ["home", "start_us", "length", "captions"]
        table = self.windows(split).select(columns)
        counts = lengths(table, "captions")
        first_N = flat(table, "captions")[np.cumsum(counts) - counts]
        told = [table.column("home").to_pylist(), [texts[index] for index in first_N.tolist()]]
        content = hashlib.sha256(json.dumps(told).encode())
        for name in ("start_us", "length"):
            content.update(table.column(name).to_numpy().tobytes())
        return content.hexdigest()[:16]

    @property
    def is_hashed(self) -> bool:
        """Whether its manifest has its files' hashes; those of earlier versions have none."""
        return bool(self.manifest.get(HASHES))

    def check(self, fingerprint: str = "") -> None:
        """Read every file once and refuse a set that is not as it was written, or is not the one
        with this fingerprint.

        Raises:
            DataError: a file is missing, torn or altered, or it is another set.
        """
        if fingerprint not in ("", self.fingerprint):
            why = f"it is of the set {self.fingerprint[:12]}"
            raise damaged(self.folder / MANIFEST, why, hint=AGAIN)
        for name, wanted in self.manifest.get(HASHES, {}).items():
            path = self.folder / name
            if not path.is_file():
                raise damaged(path, "there is no such file", hint=AGAIN)
            if input_hash(path, AGAIN) != wanted:
                raise damaged(path, "it is not as it was written", hint=AGAIN)
        # Of a set without hashes this is all that can be said.
        _ = self.vocabulary

    def size_on_disk(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def windows(self, split: str) -> pa.Table:
        """The windows of `train`, `val` or `test`.

        Raises:
            DataError: their file is damaged.
        """
        with reading(self.folder / f"{split}.parquet") as path:
            table = pq.read_table(path, memory_map=True)
            if not self.is_hashed:
                texts = pq.read_metadata(self.folder / CAPTIONS).num_rows
                refuse_odd(table, self.manifest["windows"][split], self.vocabulary.sizes(), texts)
            return table

    def lengths(self, split: str) -> NDArray[np.int16]:
        """Number of events of every window of a split.

        Raises:
            DataError: their file is damaged.
        """
        with reading(self.folder / f"{split}.parquet") as path:
            return pq.read_table(path, columns=["length"]).column("length").to_numpy()

    def piece(self, split: str, start: int, stop: int) -> pa.Table:
        """The windows from `start` up to, not including, `stop`.

        Only the row groups that hold them are read.

        Raises:
            DataError: their file is damaged.
        """
        with reading(self.folder / f"{split}.parquet") as path:
            file = pq.ParquetFile(path)
            groups = range(file.num_row_groups)
            sizes = [file.metadata.row_group(group).num_rows for group in groups]
            ends = np.cumsum(sizes)
            first, last = np.searchsorted(ends, [start, stop - 1], side="right").tolist()
            table = file.read_row_groups(list(range(first, min(last, len(sizes) - 1) + 1)))
            return table.slice(start - int(ends[first] - sizes[first]), stop - start)

    def captions(self) -> list[str]:
        """Distinct captions; a window's caption ids are indices into this list.

        Raises:
            DataError: their file is damaged.
        """
        with reading(self.folder / CAPTIONS) as path:
            captions = pq.read_table(path).column("caption").to_pylist()
            if not all(isinstance(caption, str) for caption in captions):
                raise ValueError("a caption is no text")
            return captions


def write_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    """Write `vocab.json`: lists whose indices are the ids."""
    write_json(folder / VOCAB, {field: list(names) for field, names in vocabulary.values.items()})


def write_captions(folder: Path, captions: Sequence[str]) -> None:
    """Write `captions.parquet`: a caption's id is its row."""
    pq.write_table(pa.table({"caption": pa.array(captions, pa.string())}), folder / CAPTIONS)


def write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    """Write `manifest.json`, the last file of a set, with the hashes of all others."""
    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    write_sealed(folder / MANIFEST, {**manifest, HASHES: hashes})


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
