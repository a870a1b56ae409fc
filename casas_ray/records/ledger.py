"""The ledger of a run: append-only, one JSON line an event, the record that all else mirrors."""

import errno
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from casas_ray.errors import RefusedError
from casas_ray.files import private_folder, shown, sync_folder
from casas_ray.records.rows import VERSION, Row, is_newer, row_of

log = logging.getLogger(__name__)

LEDGER = "ledger.jsonl"

_ON_DISK_FIRST = ("checkpoint", "end")
"""Rows that must outlive a crash: what is written after them is no good without."""


def new_row(event: str, step: int, **content: object) -> Row:
    """A row of now; `event` is start, metrics, checkpoint or another of `rows`."""
    version = {"version": VERSION} if event == "start" else {}
    return {"event": event, "step": step, "time": round(time.time(), 3), **version, **content}


class Ledger:
    """A run's ledger, open for appending.

    Each row goes out in one write, so a killed process leaves at most a torn last line.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self.path = folder / LEDGER

    def append(self, event: str, step: int, **content: object) -> None:
        """Add a row of now.

        Raises:
            OSError: as `write` does.
        """
        self.write(new_row(event, step, **content))

    def write(self, row: Row) -> None:
        """Add one row.

        Raises:
            OSError: it could not be written whole; then nothing of it stays.
        """
        # No buffered file: that may cut a row in two writes, and others read while we write.
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _append(handle, json.dumps(row).encode() + b"\n")
            if row["event"] in _ON_DISK_FIRST:
                os.fsync(handle)
                sync_folder(self.path.parent)
        finally:
            os.close(handle)


def _append(handle: int, line: bytes) -> None:
    size = os.fstat(handle).st_size
    # A killed writer's torn line is ended first: else this row would be glued to it, and lost.
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = os.write(handle, line)
    if written != len(line):  # a full disk takes what fits, and says so by the number alone
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_rows(folder: Path) -> list[Row]:
    """The rows that count, in order; without torn lines and without what a resume did again.

    Raises:
        RefusedError: a newer version of this package wrote it.
    """
    rows: list[Row] = []
    for row in rows_of(folder / LEDGER):
        if row["event"] == "start":
            # The ledger may be ahead of the checkpoint that a run was taken up from.
            rows = [old for old in rows if _stands(old, row["step"])]
        rows.append(row)
    return rows


def rows_of(path: Path) -> list[Row]:
    """Every row of a ledger, in order; lines that are none are dropped with one warning.

    Raises:
        RefusedError: a newer version of this package wrote it.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines()
    rows = [row for line in lines if (row := row_of(line)) is not None]
    if any(is_newer(line) for line in lines):
        raise RefusedError(
            f"{shown(path)} was written by a newer version of casas-ray.",
            hint="use that version; this one would misread it.",
        )
    if len(rows) < len(lines):
        dropped = len(lines) - len(rows)
        what = "a torn line was" if dropped == 1 else f"{dropped} torn lines were"
        log.warning("%s: %s dropped", shown(path), what)
    return rows


def _stands(row: Row, resumed_at: int) -> bool:
    # Taken up at step 0 means begun anew: there was no checkpoint yet.
    return row["event"] != "end" and 0 < resumed_at >= row["step"]


def finite(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """The metrics as JSON can hold them: what is not finite becomes text."""
    # NaN is not smaller than anything, so it becomes text too.
    return {
        name: value if abs(value) < float("inf") else str(value) for name, value in metrics.items()
    }
