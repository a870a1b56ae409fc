"""Processes that a Ray of ours leaves when it does not end well, found by their open files."""

import contextlib
import os
import signal
import time
from pathlib import Path

_PROCESSES = Path("/proc")


def end_leftovers(session: str, *, patience: float) -> None:
    """End every other process that has a file of a Ray session's folder open.

    They have so many seconds to end by themselves. Where the system has no `/proc`, nothing is
    ended: there, what Ray promises has to do.
    """
    end = time.monotonic() + patience
    while (left := _users_of(session)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in left:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _users_of(folder: str) -> list[int]:
    processes = (int(path.name) for path in _PROCESSES.glob("[0-9]*"))
    return [pid for pid in processes if pid != os.getpid() and _uses(pid, f"{folder}/")]


def _uses(pid: int, prefix: str) -> bool:
    # Workers keep their logs open under any title, also when raylet, their parent, is gone.
    try:
        links = list((_PROCESSES / str(pid) / "fd").iterdir())
    except OSError:  # it has ended, or is somebody else's
        return False
    return any(_target(link).startswith(prefix) for link in links)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
