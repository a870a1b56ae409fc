"""Runs copied to a storage while they are trained, beside the training."""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.records.follow import Listener
from casas_ray.records.rows import Row
from casas_ray.records.storage import FAULTS, Storage

log = logging.getLogger(__name__)

_NEWS = ("checkpoint", "model", "end")
_PATIENCE_SECONDS = 25.0


class StorageMirror:
    """Sends a run to the storage when its ledger tells of a checkpoint, in a thread of its own.

    Where the storage fails, it warns, and the run is sent whole at the next checkpoint.
    """

    def __init__(self, storage: Storage, folders: Sequence[Path]) -> None:
        self._storage = storage
        self._folders = list(folders)
        self._asked: queue.Queue[int | None] = queue.Queue()
        self._thread = threading.Thread(target=self._send, name="storage", daemon=True)
        self._thread.start()

    def hear(self, run: int, row: Row) -> None:
        """A new row of a run's ledger."""
        if row["event"] in _NEWS:
            self._asked.put(run)

    def close(self) -> None:
        """Finish what was begun."""
        self._asked.put(None)
        self._thread.join(_PATIENCE_SECONDS)

    def _send(self) -> None:
        while (run := self._asked.get()) is not None:
            try:
                self._storage.send(self._folders[run])
            except FAULTS as error:
                log.warning("%s; it is tried again.", self._storage.refusal(error).problem)


def storage_of(machine: Machine) -> Storage | None:
    """The storage that a machine names, if it names one.

    Raises:
        SettingsError: what it names is none.
    """
    return Storage(machine.storage) if machine.storage else None


def bring(machine: Machine, folder: Path, waiting: Sequence[Path] = ()) -> None:
    """Put onto this disk what the machine's storage has of a run, or of a study and its runs.

    Raises:
        SetupError: the storage does not answer, or takes no files.
        RefusedError: a run went on here and elsewhere.
    """
    storage = storage_of(machine)
    if storage is None:
        return
    storage.require_writable()
    try:
        for each in (folder, *waiting):
            storage.bring(each)
    except FAULTS as error:
        raise storage.refusal(error) from None


def send(machine: Machine, folders: Sequence[Path]) -> None:
    """Make the storage's copies of folders those of this disk.

    Raises:
        SetupError: the storage fails.
    """
    storage = storage_of(machine)
    if storage is None:
        return
    try:
        for folder in folders:
            storage.send(folder)
    except FAULTS as error:
        raise storage.refusal(error) from None


@contextlib.contextmanager
def copied(machine: Machine, folders: Sequence[Path]) -> Iterator[list[Listener]]:
    """Who copies these runs to the machine's storage within a block; after it the copies are whole.

    Raises:
        SetupError: they are not.
    """
    storage = storage_of(machine)
    if storage is None:
        yield []
        return
    try:
        yield [StorageMirror(storage, folders)]
    except BaseException:
        with contextlib.suppress(*FAULTS):
            for folder in folders:
                storage.send(folder)
        raise
    send(machine, folders)
