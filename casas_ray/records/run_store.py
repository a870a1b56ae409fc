"""Where one run's rows and checkpoints go and come back from: a worker's only way out."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from casas_ray.files import new_folder_over
from casas_ray.records import checkpoints
from casas_ray.records.checkpoints import About
from casas_ray.records.ledger import Ledger
from casas_ray.records.rows import Row
from casas_ray.records.run_result import checkpoint_folder

Fill = Callable[[Path], None]
"""Writes a checkpoint's files into an empty folder."""


class RunStore(Protocol):
    """A run's part of the study's store, wherever that lies.

    One worker writes. What it appends stands in order; what it saved stands whole, and all rows
    that it appended before stand too.
    """

    def begin(self, step: int) -> None:
        """Say from which step the run goes on: at step 0, earlier checkpoints are set aside."""

    def append(self, row: Row) -> None:
        """Add a row to the ledger; it may be on its way still when this returns.

        Raises:
            OSError: it, or one before it, could not be written.
        """

    def confirm(self) -> None:
        """Return when every row stands.

        Raises:
            OSError: one could not be written.
        """

    def save(self, step: int, fill: Fill, *, keep: int, best: int) -> About:
        """What may be said of the step's checkpoint, kept now, whole or not at all; of the older
        ones the newest `keep` and the best are kept.

        Raises:
            OSError: it could not be written.
        """
        ...

    def newest(self) -> About | None:
        """What may be said of the newest whole checkpoint."""

    def last(self) -> AbstractContextManager[Path | None]:
        """A folder with the checkpoint that the run goes on from; None for a run that begins."""
        ...


class FolderStore:
    """The store of a run whose folder is on a disk of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ledger: Ledger | None = None

    def begin(self, step: int) -> None:
        """As RunStore has it."""
        if step == 0:
            checkpoints.set_aside(self.folder)

    def append(self, row: Row) -> None:
        """As RunStore has it; the row stands when this returns."""
        # Opened once: a folder that is deleted meanwhile is not made again behind its owner's back.
        self._ledger = self._ledger or Ledger(self.folder)
        self._ledger.write(row)

    def confirm(self) -> None:
        """As RunStore has it; there is nothing to wait for."""

    def save(self, step: int, fill: Fill, *, keep: int, best: int) -> About:
        """As RunStore has it."""
        target = checkpoint_folder(self.folder, step)
        # Over an older one of this step, of a run that was taken up from an earlier step:
        # `new_folder` would let that stand.
        with new_folder_over(target) as draft:
            fill(draft)
        checkpoints.prune(self.folder, step, keep=keep, best=best)
        return checkpoints.about_file(target, self.folder)

    def newest(self) -> About | None:
        """As RunStore has it."""
        folder = checkpoints.latest(self.folder)
        return checkpoints.about_file(folder, self.folder) if folder else None

    def last(self) -> AbstractContextManager[Path | None]:
        """As RunStore has it; the checkpoint itself, not a copy."""
        return contextlib.nullcontext(checkpoints.to_go_on_from(self.folder))
