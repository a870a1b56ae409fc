"""A run's store as a worker sees it: what it sends and reads goes through the recorder."""

import contextlib
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from casas_ray.records.checkpoints import About
from casas_ray.records.rows import Row
from casas_ray.records.run_result import checkpoint_folder
from casas_ray.records.run_store import Fill
from casas_ray.run.recorder import CHUNK_BYTES
from casas_ray.run.scratch import scratch

_ON_THEIR_WAY = 8
"""Messages that may be unanswered. More would not be faster, and would fill Ray's memory where the
disk is slow."""

_ROWS_TOGETHER = 256
"""So many rows wait for an answer at most before they are sent."""


class RemoteStore:
    """The RunStore of a worker on any node; `writes` says whether it is the run's writer.

    Nothing of it stays on the worker's disk: a checkpoint's files lie in Ray's session folder only
    until they have been sent, or read.
    """

    def __init__(self, recorder: Any, run: Path, *, writes: bool) -> None:  # Any: Ray's handle
        self._recorder = recorder
        self._run = run
        self._writes = writes
        self._rows = 0
        """How many were sent."""

        self._kept_back: list[Row] = []
        self._sent: deque[Any] = deque()  # Any: Ray's references take no type argument

    @cached_property
    def _turn(self) -> str:
        return _answer(self._recorder.open.remote(self._run))

    def begin(self, step: int) -> None:
        """As RunStore has it."""
        self._ask("begin", step)

    def append(self, row: Row) -> None:
        """As RunStore has it."""
        self._kept_back.append(row)
        # Rows that come faster than they are taken travel together: a message costs more than a
        # row.
        self._hear_answered()
        if len(self._sent) < _ON_THEIR_WAY or len(self._kept_back) >= _ROWS_TOGETHER:
            self._send_rows()

    def _send_rows(self) -> None:
        if self._kept_back:
            self._send("append", self._rows, self._kept_back)
            self._rows += len(self._kept_back)
            self._kept_back = []

    def confirm(self) -> None:
        """As RunStore has it."""
        self._send_rows()
        while self._sent:
            self._hear()

    def save(self, step: int, fill: Fill, *, keep: int, best: int) -> About:
        """As RunStore has it."""
        # The ledger first: a checkpoint of which it does not tell would never be gone on from.
        self._ask("expect")
        with scratch() as folder:
            fill(folder)
            for path in sorted(folder.iterdir()):
                for offset, chunk in _chunks(path):
                    self._send("receive", path.name, offset, chunk)
        return self._ask("save", step, keep, best)

    def newest(self) -> About | None:
        """As RunStore has it."""
        return self._ask("newest")

    @contextlib.contextmanager
    def last(self) -> Iterator[Path | None]:
        """As RunStore has it; a copy, gone after the block."""
        if self._writes:
            _ = self._turn  # from here on nobody else alters what is read
        found = _answer(self._recorder.last.remote(self._run))
        if found is None:
            yield None
            return
        step, sizes = found
        with scratch() as run:
            folder = checkpoint_folder(run, step)
            folder.mkdir(parents=True)
            for name, size in sizes.items():
                self._fetch(step, name, size, folder / name)
            yield folder

    def _fetch(self, step: int, name: str, size: int, target: Path) -> None:
        asked: deque[Any] = deque()  # Any: as above
        with target.open("wb") as stream:
            for offset in range(0, size, CHUNK_BYTES):
                if len(asked) == _ON_THEIR_WAY:
                    stream.write(_answer(asked.popleft()))
                asked.append(self._recorder.read.remote(self._run, step, name, offset))
            while asked:
                stream.write(_answer(asked.popleft()))

    def _send(self, method: str, *what: object) -> None:
        # Waits for the oldest: who sends faster than the disk takes is held up, here.
        if len(self._sent) >= _ON_THEIR_WAY:
            self._hear()
        self._sent.append(getattr(self._recorder, method).remote(self._run, self._turn, *what))

    def _ask(self, method: str, *what: object) -> Any:  # Any: what that method returns
        self.confirm()
        return _answer(getattr(self._recorder, method).remote(self._run, self._turn, *what))

    def _hear_answered(self) -> None:
        while self._sent and ray.wait([self._sent[0]], timeout=0)[0]:
            self._hear()

    def _hear(self) -> None:
        try:
            _answer(self._sent.popleft())
        except OSError:
            # What was sent after it is refused; the next row follows the last that stands.
            self._sent.clear()
            self._kept_back.clear()
            self._rows = self._ask("rows")
            raise


def _answer(reference: Any) -> Any:  # Any: as above
    try:
        return ray.get(reference)
    except RayTaskError as error:
        # What the disk said, not a page about a task of Ray that told it.
        raise error.cause from error


def _chunks(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for offset in range(0, path.stat().st_size, CHUNK_BYTES):
        yield offset, np.fromfile(path, dtype=np.uint8, count=CHUNK_BYTES, offset=offset)
