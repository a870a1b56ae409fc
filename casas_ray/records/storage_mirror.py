"""Runs copied to a storage while they are trained, beside the training."""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from casas_ray import paths
from casas_ray.config import Machine
from casas_ray.errors import DataError
from casas_ray.records.follow import Listener
from casas_ray.records.ledger import LEDGER
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, own
from casas_ray.records.rows import Row
from casas_ray.records.storage import FAULTS, Storage, Which
from casas_ray.records.study_record import RESULTS_FILE, read_study
from casas_ray.records.verdict import EVALUATION_FILE, VERDICT_FILE

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
    return Storage(machine.storage, setting="machine.storage=") if machine.storage else None


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


def copy_here(address: str, parts: Sequence[str] = (), *, checkpoints: Which = "all") -> Path:
    """The folder below `data/runs` with what a storage has of a study and its runs, or of a run;
    brought up to it now. `parts` lead on from the address.

    Raises:
        SettingsError: it is no address of a storage.
        SetupError: the storage does not answer.
        DataError: it holds neither there.
        RefusedError: it went on here and there, or another process is at work in the folder.
    """
    storage = Storage(address)
    with _told(storage):
        there = storage.at(*parts)
        if parts and not _holds_any(there.names()):
            raise _holds_nothing(storage, storage.names(), "/".join(parts))
        return _copied_here(there, checkpoints)


def copies_here(address: str, *, checkpoints: Which) -> list[Path]:
    """As `copy_here`, of each study and run that lies in a folder of a storage, or of the one that
    lies there itself.

    Raises:
        SettingsError, SetupError, DataError, RefusedError: as for `copy_here`.
    """
    storage = Storage(address)
    with _told(storage):
        if _holds_any(storage.names()):
            return [_copied_here(storage, checkpoints)]
        within = [storage.at(name) for name in storage.names() if paths.is_safe_name(name)]
        held = [each for each in within if _holds_any(each.names())]
        if not held:
            raise _holds_nothing(storage, storage.names())
        return [_copied_here(each, checkpoints) for each in held]


def keep_verdicts(address: str, folder: Path) -> None:
    """Let a storage have the looks at test days that were taken of a copy of what lies there, so
    that they are the only ones.

    Raises:
        SetupError: the storage fails; the verdicts stand here.
    """
    storage = Storage(address)
    with _told(storage):
        for name in ("", *_trials_of(folder)):
            there = storage.at(name)
            # The verdict last: it says that the look was taken, with all that it is of.
            for kept in (EVALUATION_FILE, VERDICT_FILE):
                path = folder / name / kept
                if path.is_file() and there.content(kept) is None:
                    there.put(kept, path.read_bytes())
        if (folder / RESULTS_FILE).is_file():
            storage.put(RESULTS_FILE, (folder / RESULTS_FILE).read_bytes())


def _copied_here(storage: Storage, checkpoints: Which) -> Path:
    held = storage.names()
    if not _holds_any(held):
        raise _holds_nothing(storage, held)
    above = storage.at("..")
    is_trial = STUDY_FILE not in held and STUDY_FILE in above.names()
    study = above if is_trial else storage
    folder = paths.runs() / paths.safe_name(study.name, what="run")
    own(folder)
    with locked(folder):
        study.bring_into(folder, checkpoints)
        trials = _trials_of(folder)
        if is_trial:
            trials = [name for name in trials if name == storage.name]
        for name in trials:
            study.at(name).bring_into(folder / name, checkpoints)
    return folder / storage.name if is_trial else folder


def _holds_any(names: Sequence[str]) -> bool:
    return any(name in (STUDY_FILE, RUN_FILE, LEDGER) for name in names)


def _holds_nothing(storage: Storage, names: Sequence[str], wanted: str = "") -> DataError:
    within = ", ".join(names[:8])
    return DataError(
        f"{storage.address} holds no run and no study{f' {wanted!r}' if wanted else ''}.",
        hint=f"it holds {within}." if within else "is it written as the machine's storage is?",
    )


def _trials_of(folder: Path) -> list[str]:
    """The folders of a study's trials; none of a run."""
    if not (folder / STUDY_FILE).is_file():
        return []
    return [name for _, _, name in read_study(folder).trials]


@contextlib.contextmanager
def _told(storage: Storage) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        raise storage.refusal(error) from None
