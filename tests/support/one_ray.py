"""One Ray on the machine at a time: two test sessions beside each other would take each other's
addresses, ports and CPUs."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

LOCK = Path(tempfile.gettempdir()) / f"casas-ray-tests-{os.getuid()}.lock"
"""Held by the process that runs a slow test; the lock goes with the process, however it ends."""

_held: list[IO[str]] = []


def hold() -> None:
    """Wait until no other session runs slow tests, and keep it so."""
    if not _held:
        _held.append(LOCK.open("w"))
        fcntl.flock(_held[0], fcntl.LOCK_EX)


def let_go() -> None:
    """Let the next session have its turn."""
    while _held:
        _held.pop().close()
