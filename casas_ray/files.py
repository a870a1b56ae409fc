"""Files and folders that are whole or absent, their hashes, and how a path is shown."""

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LARGEST_TEXT = 16 << 20


def write_whole(path: Path, content: str | bytes) -> None:
    """Put the content into the file: all of it or, whatever is killed or full meanwhile, none."""
    data = content.encode() if isinstance(content, str) else content
    # Beside its target: a rename is atomic only within one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as stream:
            stream.write(data)
            stream.flush()
            # Before the rename: a crash must not leave the new name on a file without content.
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Put a value into the file as indented JSON: all of it or none."""
    write_whole(path, json.dumps(value, indent=1))


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a crash: a rename alone may be lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill: it becomes `target` when the block ends well, and vanishes otherwise.

    When somebody else finished the same target meanwhile, theirs stays: both hold the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
        # mkdtemp makes folders that nobody else may read; prepared sets are shared.
        draft.chmod(0o755)
        try:
            draft.replace(target)
        except OSError:  # a folder that is not empty is never replaced: somebody was first
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


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


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file.

    Raises:
        ValueError: it cannot be read, or is no TOML; the text says why.
    """
    try:
        return tomllib.loads(small_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(why(error)) from None


def why(error: BaseException) -> str:
    """What an error says, in a line and without the path that is told beside it."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return (said.strip().splitlines() or [type(error).__name__])[0]
