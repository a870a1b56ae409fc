"""Ledgers followed while they grow, and each new row passed on to who listens."""

import logging
import threading
from collections.abc import Sequence
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

    A listener that raises over a run hears no more of that run, with one warning, and goes on
    hearing of the others: whoever watches must not stop who works.
    """

    def __init__(self, folders: Sequence[Path], listeners: Sequence[Listener]) -> None:
        self._folders = list(folders)
        self._tails = [Tail(folder) for folder in folders]
        self._listeners = list(listeners)
        self._deaf: set[tuple[int, int]] = set()
        """The index of a listener, and of a run that it hears no more of."""

        self._called, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def add(self, folder: Path) -> None:
        """Follow one more ledger, from its start; its index is the next."""
        self._folders.append(folder)
        self._tails.append(Tail(folder))

    def look(self) -> None:
        """Let what is new be passed on at once; the caller does not wait for it."""
        self._called.set()

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
        self._called.set()
        # A listener may hang on a network; a finished training must not wait for it for ever.
        self._thread.join(timeout=30.0)
        if self._thread.is_alive():
            log.warning("what watches the runs did not finish in 30 s; the ledgers are whole.")

    def _follow(self) -> None:
        while not self._ended.is_set():
            self._called.wait(_EVERY_SECONDS)
            self._called.clear()
            self._pass_on()
        # Once more: rows may have come between the last reading and the end.
        self._pass_on()
        for index, listener in enumerate(self._listeners):
            try:
                listener.close()
            except Exception as error:
                # Who failed over a run and fails again at the end has nothing new to say.
                if not any(deaf == index for deaf, _ in self._deaf):
                    _warn(listener, "", error)

    def _pass_on(self) -> None:
        for run, tail in enumerate(self._tails):
            for row in tail.new_rows():
                for index in range(len(self._listeners)):
                    if (index, run) not in self._deaf:
                        self._tell(index, run, row)

    def _tell(self, index: int, run: int, row: Row) -> None:
        listener = self._listeners[index]
        try:
            listener.hear(run, row)
        except Exception as error:
            self._deaf.add((index, run))
            _warn(listener, f" of {self._folders[run].name}" if len(self._tails) > 1 else "", error)


def _warn(listener: Listener, of_run: str, error: Exception) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    log.warning("%s%s: %s; training goes on without it.", type(listener).__name__, of_run, reason)
