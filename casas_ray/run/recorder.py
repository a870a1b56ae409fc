"""The recorder: an actor beside the driver, which keeps on the driver's disk what workers send."""

import hashlib
import math
import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from casas_ray.errors import ClusterError, first_line
from casas_ray.files import private_folder, shown
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import FILES, OPTIMIZER, WEIGHTS, read_meta
from casas_ray.records.checkpoints import About
from casas_ray.records.ledger import new_row
from casas_ray.records.own_folder import own
from casas_ray.records.rows import Row, Status
from casas_ray.records.run_record import RunRecord, claim
from casas_ray.records.run_result import CHECKPOINTS, RunResult, checkpoint_folder
from casas_ray.records.run_store import FolderStore
from casas_ray.run.room import beside_driver, take_niceness

CHUNK_BYTES = 4 << 20
"""Of a checkpoint's file, as it travels."""

_DRAFT = ".receiving."


class TurnLost(Exception):
    """Somebody else writes this run now, or what came before this message did not arrive."""


@dataclass
class _Turn:
    """One writer of a run, and what it sent."""

    name: str
    store: FolderStore
    rows: int = 0
    draft: Path | None = None
    """Where a checkpoint's files arrive."""

    hashes: dict[str, "hashlib._Hash"] = field(default_factory=dict)
    """Of what arrived of each."""


class Recorder:
    """Keeps rows and checkpoints of a study's runs, in the order in which their writers send them.

    A run has one writer: the last that opened a turn. What an earlier one still sends is refused,
    as when its node was taken for dead, and its trial goes on elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        """The runs are this folder, or those that lie in it."""
        self._folder = folder
        self._turns: dict[Path, _Turn] = {}

    def begin_at(self, niceness: int, path: Path) -> None:
        """Work at this niceness where the system allows it, and make an empty file: whether this
        process may write where the driver reads."""
        take_niceness(niceness)
        path.touch()

    def admit(self, record: RunRecord) -> None:
        """Make a folder of the study this run's, before its writer opens a turn.

        Raises:
            RefusedError: it holds another run.
        """
        self._require_own(record.folder)
        own(record.folder)
        claim(record)

    def open(self, run: Path) -> str:
        """A new turn at writing the run; it ends the one before."""
        self._require_own(run)
        for left in (run / CHECKPOINTS).glob(f"{_DRAFT}*"):
            shutil.rmtree(left)
        turn = self._turns[run] = _Turn(uuid.uuid4().hex, FolderStore(run))
        return turn.name

    def begin(self, run: Path, turn: str, step: int) -> None:
        """As RunStore has it."""
        self._held(run, turn).store.begin(step)

    def append(self, run: Path, turn: str, number: int, rows: Sequence[Row]) -> None:
        """Add the turn's rows from this number on to the ledger.

        Raises:
            OSError: one could not be written; then none of a higher number is taken.
        """
        held = self._held(run, turn)
        if number != held.rows:
            raise TurnLost(f"row {number} of {run.name} follows row {held.rows - 1}")
        for row in rows:
            held.store.append(row)
            held.rows += 1

    def rows(self, run: Path, turn: str) -> int:
        """How many of the turn's rows stand."""
        return self._held(run, turn).rows

    def expect(self, run: Path, turn: str) -> None:
        """Take the files of a checkpoint from here on; what arrived of an earlier one is gone."""
        held = self._held(run, turn)
        self._drop(held)
        private_folder(run / CHECKPOINTS)
        held.draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=run / CHECKPOINTS))
        held.hashes = {name: hashlib.sha256() for name in FILES}

    def receive(
        self, run: Path, turn: str, name: str, offset: int, chunk: NDArray[np.uint8]
    ) -> None:
        """Write a file of the expected checkpoint on.

        Raises:
            OSError: it could not be written; then nothing of the checkpoint is taken.
        """
        held = self._held(run, turn)
        if name not in FILES:
            raise ValueError(f"{name!r} is no file of a checkpoint")
        if held.draft is None:
            raise TurnLost(f"no checkpoint of {run.name} is expected")
        try:
            with (held.draft / name).open("ab") as stream:
                if stream.tell() != offset:
                    raise TurnLost(f"{name} of {run.name} lacks bytes before {offset}")
                stream.write(chunk.data)
            # Now, while it is at hand and the next is on its way.
            held.hashes[name].update(chunk.data)
        except Exception:
            # At once: a disk that is full needs the room.
            self._drop(held)
            raise

    def save(self, run: Path, turn: str, step: int, keep: int, best: int) -> About:
        """As RunStore has it, of the files that were received."""
        held = self._held(run, turn)
        draft = held.draft
        if draft is None:
            raise TurnLost(f"no checkpoint of {run.name} is expected")

        def fill(folder: Path) -> None:
            for path in draft.iterdir():
                path.replace(folder / path.name)
            hashes = {name: held.hashes[name].hexdigest() for name in (WEIGHTS, OPTIMIZER)}
            read_meta(folder, hashes)  # what was torn on its way never takes its name

        try:
            return held.store.save(step, fill, keep=keep, best=best)
        finally:
            self._drop(held)

    def newest(self, run: Path, turn: str) -> About | None:
        """As RunStore has it."""
        return self._held(run, turn).store.newest()

    def settle(self, run: Path, status: Status, error: str) -> None:
        """Write this end into the ledger of a run that has none, and take nothing more of it."""
        told = RunResult.read(run)
        if told.status == "running":
            row = new_row("end", told.step, status=status, error=error)
            self.append(run, self.open(run), 0, [row])

    def result(self, run: Path) -> dict[str, float | str]:
        """What a study's table shows of the run: how it ended, and the metrics of its best step.

        They are not numbers where it has no best step: Tune wants every metric that it orders by.
        """
        told = RunResult.read(run)
        best = told.best_step
        where = {} if best is None else {"checkpoint": str(checkpoint_folder(run, best))}
        metrics = told.best() or dict.fromkeys(told.untrained(), math.nan)
        return {"status": told.status, "error": told.error, "step": told.step, **where, **metrics}

    def last(self, run: Path) -> tuple[int, dict[str, int]] | None:
        """The step of the checkpoint that the run goes on from, and its files' sizes in bytes."""
        folder = checkpoints.to_go_on_from(run)
        if folder is None:
            return None
        step = int(read_meta(folder)["step"])
        return step, {name: (folder / name).stat().st_size for name in FILES}

    def read(self, run: Path, step: int, name: str, offset: int) -> NDArray[np.uint8]:
        """A chunk of a file of the step's checkpoint."""
        path = checkpoint_folder(run, step) / name
        return np.fromfile(path, dtype=np.uint8, count=CHUNK_BYTES, offset=offset)

    def _held(self, run: Path, name: str) -> _Turn:
        turn = self._turns.get(run)
        if turn is None or turn.name != name:
            raise TurnLost(f"somebody else writes {run.name} now")
        return turn

    def _require_own(self, run: Path) -> None:
        if self._folder not in (run, run.parent):
            raise ValueError(f"{run} is no run of {self._folder}")

    def _drop(self, turn: _Turn) -> None:
        if turn.draft is not None:
            shutil.rmtree(turn.draft, ignore_errors=True)
            turn.draft = None


def start_recorder(folder: Path) -> Any:  # Any: Ray's handle has no type
    """The recorder of the run that is a folder of the driver's disk, or of those in it; any worker
    may send to it.

    Raises:
        ClusterError: no process of Ray can write there.
    """
    actor: Any = ray.remote(Recorder)
    # Begun again when it dies: trainings that were writing are then taken up again as well.
    recorder = actor.options(**beside_driver(), max_restarts=-1).remote(folder)
    probe = folder / f".recorder-{uuid.uuid4().hex}"
    try:
        ray.get(recorder.begin_at.remote(os.nice(0), probe))
        if not probe.exists():
            raise FileNotFoundError("its file is not to be seen here")
    except (RayError, OSError) as error:
        raise ClusterError(
            f"Ray's processes beside this command cannot write into {shown(folder)}: "
            f"{first_line(error)}",
            hint="run the command on a machine of the cluster, as its account, or submit it.",
        ) from None
    finally:
        probe.unlink(missing_ok=True)
    return recorder
