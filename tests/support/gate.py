"""Trainings that wait for the test: each is held at a step, and goes on or is ended from there."""

import os
import subprocess
import tempfile
from pathlib import Path

from support.waiting import wait_until

HOOKS = str(Path(__file__).with_name("gates"))


class Gates:
    """Which trainings are held, in a folder that their processes look at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """What a process must have in its environment to be held."""
        path = os.pathsep.join(part for part in (HOOKS, os.environ.get("PYTHONPATH")) if part)
        return {"CASAS_RAY_TEST_GATES": str(self.folder), "PYTHONPATH": path}

    def hold(self, training: str, *, step: int, rank: int | None = None) -> None:
        """Let nobody who trains `RECIPE-seedS`, or only that rank, take a step from this one on."""
        only = "" if rank is None else f" rank{rank}"
        (self.folder / f"{training}.hold").write_text(f"{step}{only}")

    def leave_memory(self, training: str, *, mib: int) -> None:
        """Leave who trains that so much memory besides what it holds when it takes a step."""
        (self.folder / f"{training}.memory").write_text(str(mib))

    def held(self, training: str) -> set[int]:
        """The processes that are held, or were when they were killed."""
        return {int(mark.name.split(".")[-2]) for mark in self._held(training)}

    def wait_for(
        self, training: str, *, processes: int = 1, driver: subprocess.Popen | None = None
    ) -> None:
        """Wait until so many processes are held there."""
        wait_until(lambda: len(self._held(training)) >= processes, process=driver)

    def let_go(self, training: str) -> None:
        """Let everybody go on."""
        (self.folder / f"{training}.hold").unlink()
        for mark in self._held(training):
            mark.unlink()

    def let_go_when_asked(self, training: str) -> None:
        """Let everybody go on who has heard that it is to stop, and nobody else."""
        hold = self.folder / f"{training}.hold"
        new = hold.with_suffix(".new")
        new.write_text(f"{hold.read_text()} asked")
        new.replace(hold)

    def open(self) -> None:
        """Let everybody go on, and forget who was held."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)

    def _held(self, training: str) -> list[Path]:
        return list(self.folder.glob(f"{training}.*.held"))


def new_gates() -> Gates:
    """Gates in a folder of their own."""
    return Gates(Path(tempfile.mkdtemp(prefix="casas-ray-gates-")))
