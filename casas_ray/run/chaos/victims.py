"""Processes that a command started, found by a mark in their environment, and nobody else's."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

_PROCESSES = Path("/proc")
_TITLES = {
    "worker": r"^ray::(ImplicitFunc|\S*RayTrainWorker)",
    "recorder": "^ray::Recorder",
    "node": "raylet/raylet",
    "control": "gcs/gcs_server",
}
MARK = "CASAS_RAY_CHAOS"
"""In the environment of a command and of all that it starts."""


def can_look() -> bool:
    """Whether this system tells of its processes as Linux does."""
    return (_PROCESSES / "self" / "environ").exists()


def found(token: str, title: str = "") -> list[int]:
    """The living processes of the command with this token, of this kind where one is given."""
    ours = f"{MARK}={token}".encode()
    pattern = re.compile(_TITLES.get(title, ""))
    processes = (int(path.name) for path in _PROCESSES.glob("[0-9]*"))
    return sorted(pid for pid in processes if _is_one(pid, ours, pattern))


def _is_one(pid: int, ours: bytes, pattern: re.Pattern[str]) -> bool:
    folder = _PROCESSES / str(pid)
    try:
        if ours not in (folder / "environ").read_bytes().split(b"\0"):
            return False
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended, or is somebody else's
        return False
    return pid != os.getpid() and bool(command.strip()) and bool(pattern.search(command))


def send(pid: int, number: int) -> None:
    """Send a signal; to one that has just ended none."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end_all(token: str, *, patience: float) -> int:
    """How many processes of a command that is gone were left after so many seconds; they are
    killed."""
    end = time.monotonic() + patience
    while (left := found(token)) and time.monotonic() < end:
        time.sleep(0.1)
    for pid in left:
        send(pid, signal.SIGKILL)
    return len(left)
