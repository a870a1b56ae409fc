"""One process at a time at work in a folder."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from casas_ray.drafts import clear_drafts
from casas_ray.errors import RefusedError
from casas_ray.files import private_folder, shown

_TRIES, _SECONDS_BETWEEN = 10, 0.02


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder to ourselves, until this process ends or the block does; what one that was killed
    left half written in it is gone.

    Raises:
        RefusedError: another process is at work in it.
    """
    private_folder(folder)
    # The kernel lets go of a lock when its process dies. The file stays: with it deleted, two
    # processes could each lock a file of this name. For appending: opened to be written, a file
    # that is not ours, or that a link of this name points at, would be emptied.
    with (folder / ".lock").open("a") as stream:
        if not _taken(stream):
            raise RefusedError(
                f"another casas-ray is at work in {shown(folder)}.",
                hint="wait for it, or stop it.",
            )
        clear_drafts(folder)
        yield


def _taken(stream: IO[str]) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            # Who only looks whether it is locked, as `casas-ray watch` does, holds it for a moment.
            time.sleep(_SECONDS_BETWEEN)
    return False


def is_locked(folder: Path) -> bool:
    """Whether a process is at work in the folder; nothing is written to see it."""
    try:
        with (folder / ".lock").open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or it is not ours to look at
        return False
    return False
