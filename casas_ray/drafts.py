"""Names of drafts, which say whose they are, and the end of those whose process is gone.

A process that is killed leaves the file or folder that it was just writing. Its name has our mark,
the host, and the process with the time of its start, so that whoever writes beside it next can tell
that nobody is at work on it any more.
"""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import uuid
from pathlib import Path

_NAME = re.compile(r"\..*\.casas-ray-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{32}")
_PROCESSES = Path("/proc")


def draft_name(target: Path) -> Path:
    """A new name beside `target`, hidden, and this process's."""
    # With random digits: threads of one process write at once.
    process = os.getpid()
    owner = f"{_host()}-{process}-{_start_of(process) or 0}"
    return target.with_name(f".{target.name[:64]}.casas-ray-{owner}-{uuid.uuid4().hex}")


def clear_drafts(folder: Path) -> None:
    """Delete the drafts in a folder that processes of this host left when they were killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            owner = _NAME.fullmatch(entry.name)
            # Another host's may be in the writing: nobody here can know.
            if owner is None or owner[1] != _host() or _lives(int(owner[2]), int(owner[3])):
                continue
            # Others may be clearing here too.
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _lives(process: int, start: int) -> bool:
    if _PROCESSES.is_dir():
        # By its start too: numbers are given again, after a restart of the machine from the first.
        return _start_of(process) == start
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _start_of(process: int) -> int | None:
    """When a process started, in ticks since the machine did; None for one that is gone."""
    try:
        # Behind the last bracket: a program's name may hold anything.
        fields = (_PROCESSES / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _host() -> str:
    """This machine by name and by its table of processes, of which each container has its own."""
    try:
        processes = str((_PROCESSES / "self" / "ns" / "pid").readlink())
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()}:{processes}".encode()).hexdigest()[:8]
