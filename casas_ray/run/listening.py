"""Which ports of this command's processes are open to more than this machine."""

import os
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
_LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")


def open_ports() -> list[int] | None:
    """Ports on which this process or one below it listens beyond loopback; None where the system
    does not tell."""
    if not (_PROC / "net" / "tcp").is_file():
        return None
    sockets = _beyond_loopback()
    held = {name for pid in _family(os.getpid()) for name in _sockets_of(pid)}
    return sorted({port for name, port in sockets.items() if name in held})


def _beyond_loopback() -> dict[str, int]:
    """The port of each listening socket by its name, those on loopback left out."""
    found: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        path = _PROC / "net" / table
        rows = path.read_text().splitlines()[1:] if path.is_file() else []
        for row in rows:
            _, local, _, state, *rest = row.split()
            address, _, port = local.partition(":")
            if state == _LISTENING and address not in _LOOPBACK:
                found[f"socket:[{rest[5]}]"] = int(port, 16)
    return found


def _family(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:  # it ended meanwhile
            continue
        # The name before the last bracket may hold anything.
        children.setdefault(int(status.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    family = [root]
    for member in family:
        family += children.get(member, [])
    return family


def _sockets_of(pid: int) -> list[str]:
    names = []
    for link in (_PROC / str(pid) / "fd").glob("*"):
        try:
            names.append(str(link.readlink()))
        except OSError:
            continue
    return names
