"""Commands as processes of their own, found again by a mark, none of which outlives its test."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.processes import running
from support.waiting import LONG, wait_until

_SOURCE = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Commands:
    """Starts commands whose output lies in a folder, and which the mark finds."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def mark(self) -> str:
        """What the environment of every process holds that comes of these commands."""
        return f"CASAS_RAY_TEST={self.folder}"

    def start(self, *words: object, **more: str) -> subprocess.Popen:
        """Start one, with more in its environment."""
        env = {**os.environ, **self.environment, **more, "CASAS_RAY_TEST": str(self.folder)}
        env.pop("RAY_ADDRESS", None)
        env["PYTHONPATH"] = f"{env['PYTHONPATH']}:{_SOURCE}"
        command = [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]
        with (self.folder / "err").open("w") as err, (self.folder / "out").open("w") as out:
            return subprocess.Popen(command, env=env, stdout=out, stderr=err)

    def run(self, *words: object, **more: str) -> int:
        """The exit code of one; nothing of it is left."""
        return self.end(self.start(*words, **more))

    def end(self, process: subprocess.Popen) -> int:
        """The exit code of one that was started; nothing of it is left."""
        process.wait(timeout=4 * LONG)
        wait_until(lambda: not running(self.mark))
        return process.returncode

    @property
    def err(self) -> str:
        """What the last one said beside its output."""
        return (self.folder / "err").read_text()

    @property
    def out(self) -> str:
        """What the last one put out."""
        return (self.folder / "out").read_text()


@contextlib.contextmanager
def commands(folder: Path, environment: Mapping[str, str]) -> Iterator[Commands]:
    """Commands that end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Commands(folder, environment)
    try:
        yield made
    finally:
        for pid in running(made.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
