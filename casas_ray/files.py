"""Files and folders that are whole or absent, which of them are ours, who may enter them, their
hashes, and how a path is shown."""

import errno
import hashlib
import json
import os
import shutil
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from casas_ray.drafts import clear_drafts, draft_name
from casas_ray.errors import DataError, RefusedError

MARK = ".casas-ray"
"""An empty file in a folder that we made; a folder without it is never deleted."""

_LARGEST_TEXT = 16 << 20


def write_whole(path: Path, content: str | bytes) -> None:
    """Put the content into the file: all of it or, whatever is killed or full meanwhile, none."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as draft:
        draft.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write a file under: it becomes `path` when the block ends well, and vanishes
    otherwise."""
    # Beside its target: a rename is atomic only within one file system.
    clear_drafts(path.parent)
    draft = draft_name(path)
    try:
        yield draft
        # Before the rename: a crash must not leave the new name on a file without content.
        sync_file(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Put a value into the file as indented JSON: all of it or none."""
    write_whole(path, json.dumps(value, indent=1))


def sync_file(path: Path) -> None:
    """Let what was written into a file outlive a crash."""
    if path.is_symlink():  # a link has no content of its own
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a crash: a rename alone may be lost with the power."""
    sync_file(folder)


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it, which nobody else may enter; one that is there stays.

    Where the folder above was opened to a group by hand, its group may enter.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        # A umask can take away bits of mkdir's mode; then not even we could enter.
        each.chmod(_mode_below(each.parent))
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")


def _mode_below(parent: Path) -> int:
    """The mode of a new folder in this one."""
    mode = stat.S_IMODE(parent.stat().st_mode)
    # Modes that no usual umask gives: somebody chose them.
    shared = mode & stat.S_ISGID or (mode & stat.S_IRWXG and not mode & stat.S_IRWXO)
    return stat.S_IRWXU | (mode & (stat.S_ISGID | stat.S_IRWXG) if shared else 0)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill: it becomes `target` when the block ends well, and vanishes otherwise.

    When somebody else finished the same target meanwhile, theirs stays: both hold the same.
    """
    with _draft_of(target) as draft:
        yield draft
        _to_disk(draft)
        try:
            draft.replace(target)
        except OSError:  # a folder that is not empty is never replaced: somebody was first
            if not target.is_dir():
                raise
        sync_folder(target.parent)


@contextmanager
def new_folder_over(target: Path) -> Iterator[Path]:
    """A folder to fill that becomes `target` when the block ends well; what stood there goes only
    after it."""
    with _draft_of(target) as draft:
        yield draft
        _to_disk(draft)
        old = draft_name(target)
        if target.exists():
            # No system call of Python's exchanges two folders. Killed between the two renames,
            # neither is there under its name, and both are cleared as drafts.
            target.replace(old)
        draft.replace(target)
        sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def mended_folder(target: Path) -> Iterator[Path]:
    """A folder to fill: when the block ends well, each of its files takes the place of the one of
    its name in `target`, where everything else stays."""
    with _draft_of(target) as draft:
        yield draft
        _to_disk(draft)
        for path in sorted(draft.iterdir()):
            path.replace(target / path.name)
        sync_folder(target)


@contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    private_folder(target.parent)
    clear_drafts(target.parent)
    draft = draft_name(target)
    try:
        private_folder(draft)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _to_disk(draft: Path) -> None:
    for path in (*draft.rglob("*"), draft):
        sync_file(path)


def scratch_folder(folder: Path) -> Path:
    """The folder, new and empty but for our mark; one that we made before is deleted first.

    Raises:
        RefusedError: something lies there that we did not make.
    """
    if is_marked(folder):
        shutil.rmtree(folder)
    try:
        private_folder(folder)
        strangers = any(folder.iterdir())
    except (FileExistsError, NotADirectoryError):
        strangers = True
    if strangers:
        raise RefusedError(
            f"{shown(folder)} is in the way: it was not made by casas-ray.",
            hint="move it away; nothing of it was touched.",
        )
    mark(folder)
    return folder


def mark(folder: Path) -> None:
    """Say in a folder that we made it."""
    (folder / MARK).touch()


def is_marked(folder: Path) -> bool:
    """Whether a folder, and not what a link points at, carries our mark."""
    return not folder.is_symlink() and (folder / MARK).is_file()


def read_toml(path: Path) -> dict[str, Any]:  # Any: what TOML holds
    """What a TOML file declares.

    Raises:
        DataError: it cannot be read as TOML.
    """
    try:
        return tomllib.loads(small_text(path))
    # A ValueError also for what is no UTF-8, and for a number of 5,000 digits; a RecursionError
    # for lists in lists in lists.
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{shown(path)}: {why(error)}.", hint="TOML in UTF-8 is wanted: a line is NAME = VALUE."
        ) from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with require_plain(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def shown(path: Path) -> str:
    """The path as a reader would type it: relative to here when it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def require_plain(path: Path) -> Path:
    """The path itself, where a plain file lies there.

    Raises:
        OSError: none does; a folder, say, or a device or a pipe, whose reading may never end.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, wanted a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, wanted a file", str(path))
    return path


def small_text(path: Path) -> str:
    """The text of a file of settings or facts.

    Raises:
        OSError: it is no plain file, cannot be read, or is too large to be one of these.
        ValueError: it is not UTF-8.
    """
    size = require_plain(path).stat().st_size
    if size > _LARGEST_TEXT:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, too many for settings", str(path))
    return path.read_text(encoding="utf-8")


def why(error: BaseException) -> str:
    """What an error says, in a line and without the path that is told beside it."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.object[error.start]:#04x} at {error.start:,} is no UTF-8"
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return (said.strip().splitlines() or [type(error).__name__])[0]
