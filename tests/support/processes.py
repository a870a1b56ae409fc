"""Processes of this test session, found by what their environment says."""

import os
import re
from pathlib import Path


def running(mark: str, title: str = "") -> list[int]:
    """Process ids, but for our own, with the mark in their environment and a title like that."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark.encode() in (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if marked and int(folder.name) != os.getpid() and re.search(title, command):
            found.append(int(folder.name))
    return found
