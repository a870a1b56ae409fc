"""Waiting for a state, never for a time."""

import subprocess
import time
from collections.abc import Callable

LONG = 120.0
"""Seconds after which something that must come about is given up; on an idle machine nothing here
takes a tenth of it."""


def wait_until(
    holds: Callable[[], bool], *, process: subprocess.Popen | None = None, seconds: float = LONG
) -> None:
    """Go on as soon as it holds; fail when it never does, or when the process that should bring it
    about has ended."""
    end = time.monotonic() + seconds
    while not holds():
        assert process is None or process.poll() is None, "the process ended before it came about"
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)
