"""Follow the ledgers of runs while they grow, and pass each new row on."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from casas_ray.records.ledger import LEDGER

log = logging.getLogger(__name__)

_EVERY_SECONDS = 0.5


class Listener(Protocol):
    """Who hears of new rows."""

    def hear(self, run: int, row: dict[str, Any]) -> None:
        """A row that a run's ledger has gained; rows of one run come in order."""

    def close(self) -> None:
        """No more rows will come."""


class Tail:
    """One ledger, read on from where the last look ended."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        self.offset = 0

    def new_rows(self) -> list[dict[str, Any]]:
        """Whole lines that were added; a torn one waits or, when something follows it, is
        skipped."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            whole, _, _ = stream.read().rpartition(b"\n")
        if whole:
            self.offset += len(whole) + 1
        return [row for line in whole.splitlines() if (row := _row(line)) is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


class Follower:
    """A thread that follows several ledgers; a context manager that ends with a last look.

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
        self._thread.join(timeout=30.0)
        if self._thread.is_alive():
            log.warning("what watches the runs did not finish in 30 s; the ledgers are whole.")

    def _follow(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._look()
        self._look()
        for listener in self._listeners:
            self._call(listener, listener.close)

    def _look(self) -> None:
        for run, tail in enumerate(self._tails):
            for row in tail.new_rows():
                for listener in list(self._listeners):
                    self._call(listener, listener.hear, run, row)

    def _call(self, listener: Listener, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception as error:
            log.warning("%s: %s; training goes on without it.", type(listener).__name__, error)
            if listener in self._listeners:
                self._listeners.remove(listener)
