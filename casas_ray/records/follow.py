"""Ledgers followed while they grow, and each new row passed on to who listens."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from casas_ray.records.ledger import LEDGER
from casas_ray.records.rows import Row, row_of

log = logging.getLogger(__name__)

_EVERY_SECONDS = 0.5


class Listener(Protocol):
    """Who hears of new rows."""

    def hear(self, run: int, row: Row) -> None:
        """Take a row that a run's ledger has gained; `run` is its index, its rows come in order."""

    def close(self) -> None:
        """Finish: no more rows will come."""


class Tail:
    """One ledger, read on from where reading last ended."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER
        self._offset = 0

    def new_rows(self) -> list[Row]:
        """The rows added since; a torn line waits or, when something follows it, is skipped."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            # Up to the last line break: what follows it may still be in the writing.
            whole, _, _ = stream.read().rpartition(b"\n")
        if whole:
            self._offset += len(whole) + 1
        return [row for line in whole.splitlines() if (row := row_of(line)) is not None]


class Follower:
    """A thread that follows several ledgers; a context manager that reads once more at its end.

    A listener that raises is dropped with one warning: whoever watches must not stop who works.
    """

    def __init__(self, folders: Sequence[Path], listeners: Sequence[Listener]) -> None:
        self._tails = [Tail(folder) for folder in folders]
        self._listeners = list(listeners)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def __enter__(self) -> "Follower":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # A listener may hang on a network; a finished training must not wait for it for ever.
        self._thread.join(timeout=30.0)
        if self._thread.is_alive():
            log.warning("what watches the runs did not finish in 30 s; the ledgers are whole.")

    def _follow(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._pass_on()
        # Once more: rows may have come between the last reading and the end.
        self._pass_on()
        for listener in self._listeners:
            self._call(listener, listener.close)

    def _pass_on(self) -> None:
        for run, tail in enumerate(self._tails):
            for row in tail.new_rows():
                for listener in list(self._listeners):  # a copy: `_call` removes from it
                    self._call(listener, listener.hear, run, row)

    def _call(self, listener: Listener, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception as error:
            log.warning("%s: %s; training goes on without it.", type(listener).__name__, error)
            if listener in self._listeners:
                self._listeners.remove(listener)
