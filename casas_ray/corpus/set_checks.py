"""Whether a prepared set is still as it was written, and where one that is not is written anew."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from casas_ray.corpus.window_table import FIELD_PREFIX, flat, lengths
from casas_ray.errors import DataError
from casas_ray.files import mended_folder, new_folder
from casas_ray.sealed import damaged

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

log = logging.getLogger(__name__)

AGAIN = "prepare it again with its settings and log; a training of its homes does so by itself."


def usable(prepared: "PreparedSet", fingerprint: str) -> bool:
    """Whether a set is there and as it was written; else it is to be written anew.

    One of an earlier version, whose files have no hashes, is too, without a word.
    """
    if not prepared.folder.is_dir():
        return False
    try:
        prepared.check(fingerprint)
    except DataError as error:
        log.warning("%s It is prepared again.", error.problem)
        return False
    return prepared.is_hashed


def set_to_fill(target: Path) -> contextlib.AbstractContextManager[Path]:
    """A folder to write a set into, which becomes the set, or takes the place of its files."""
    # File by file, and nothing is deleted: somebody may be reading, or keep files of his own there.
    return mended_folder(target) if target.is_dir() else new_folder(target)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Path]:
    """What pyarrow makes of a damaged file, as the error that it is."""
    try:
        yield path
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        MemoryError,
    ) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise damaged(path, reason[0], hint=AGAIN) from None


def refuse_odd(table: pa.Table, windows: int, sizes: Mapping[str, int], texts: int) -> None:
    """Refuse windows that would be read beyond their ends, for sets whose files have no hashes.

    Raises:
        ValueError, KeyError: a column is missing, or its numbers lie outside.
    """
    length = table.column("length").to_numpy()
    if len(length) != windows or not len(length) or length.min() < 1:
        raise ValueError(f"{len(length)} windows, of which some may be empty; wanted {windows}")
    limits = {"sensor_text": texts, "gap_seconds": None, "x": None, "y": None}
    limits |= {FIELD_PREFIX + field: size for field, size in sizes.items()}
    for name, limit in limits.items():
        if not np.array_equal(lengths(table, name), length):
            raise ValueError(f"'{name}' has other lengths than its windows")
        _refuse_outside(table, name, limit)
    _refuse_outside(table, "captions", texts)
    if (lengths(table, "captions") < 1).any():
        raise ValueError("a window has no caption")


def _refuse_outside(table: pa.Table, name: str, limit: int | None) -> None:
    values = flat(table, name)
    if limit is not None and (
        values.dtype.kind != "i" or values.min() < 0 or values.max() >= limit
    ):
        raise ValueError(f"'{name}' has ids that stand for nothing")
