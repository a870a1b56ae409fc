"""The ledger of a run: append-only, one JSON line an event, the record that all else mirrors."""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from casas_ray.files import own_folder

log = logging.getLogger(__name__)

LEDGER = "ledger.jsonl"

Row = dict[str, Any]  # Any: what JSON holds
"""One event of a run: `event`, `step`, `time`, and what else its kind of event tells."""


class Ledger:
    """A run's ledger, open for appending.

    Each row goes out in one write, so a killed process leaves at most a torn last line.
    """

    def __init__(self, folder: Path) -> None:
        own_folder(folder)
        self.path = folder / LEDGER
        _end_torn_line(self.path)

    def append(self, event: str, step: int, **content: object) -> None:
        """Add one row; `event` is start, metrics, checkpoint or end."""
        row = {"event": event, "step": step, "time": round(time.time(), 3), **content}
        line = (json.dumps(row) + "\n").encode()
        # No buffered file: that may cut a row in two writes, and others read while we write.
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(handle, line)
        finally:
            os.close(handle)
        if written != len(line):
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written")


def _end_torn_line(path: Path) -> None:
    # Else the next row would be glued to the torn one, and lost with it.
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) != b"\n":
            stream.write(b"\n")


def read_rows(folder: Path) -> list[Row]:
    """The rows that count, in order; without torn lines and without what a resume did again."""
    path = folder / LEDGER
    if not path.exists():
        return []
    rows: list[Row] = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            log.warning("%s: a torn line was dropped (%d bytes)", path, len(line))
            continue
        if row["event"] == "start":
            # The ledger may be ahead of the checkpoint that a run was taken up from.
            rows = [old for old in rows if _stands(old, row["step"])]
        rows.append(row)
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
