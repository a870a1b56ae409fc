"""A log that somebody names: prepared from first, and remembered only when it can be used."""

import json
import os
import select
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from casas_ray.corpus.alignment import input_hash
from casas_ray.corpus.intervals import is_interval_log, joined
from casas_ray.corpus.log_text import LARGEST, refuse_no_file
from casas_ray.corpus.simulate.simulator import TRUTH_NAME
from casas_ray.errors import CasasError, DataError, RefusedError
from casas_ray.files import private_folder, sha256_of, shown, whole_file, write_json
from casas_ray.paths import raw, safe_name

LINK = "data"
"""What a home's log is called in its folder, or a link to it."""

_MEMORY = "log.json"
_PIPED, _ACTIVITIES, _JOINED = "piped.txt", "activities.txt", "joined.txt"
_PIECE = 1 << 20
_SECONDS_TO_OPEN = 10


class Named(NamedTuple):
    """What a user named as a home's log."""

    log: Path
    activities: Path | None = None
    """Activities in a file of their own."""

    columns: str = ""
    activity_columns: str = ""
    """What the columns of intervals are, where it is not told from the files."""


@contextmanager
def brought(home: str, named: Named) -> Iterator[tuple[Path, list[str]]]:
    """The log to prepare from and what has to be said of it; it becomes the home's log when the
    block ends well, and is forgotten otherwise.

    Raises:
        DataError: it cannot be read; errors of the block name the file that was named.
        RefusedError: another log of that home, not a link, lies there already, or it is simulated.
    """
    folder = raw() / safe_name(home, what="home")
    _refuse_another(folder / LINK, named.log, home)
    with tempfile.TemporaryDirectory() as draft:
        with _named_as(named, Path(draft)):
            path, notes = _at_hand(named, Path(draft))
            yield path, [note.replace(f"{_PIPED}: ", f"{named.log.name}: ") for note in notes]
        _remember(folder, _kept(path, folder) if path != named.log else path)


@contextmanager
def _named_as(named: Named, draft: Path) -> Iterator[None]:
    """Errors of the block name what the user named, and none of our copies of it."""
    names = {draft / _PIPED: named.log, draft / _JOINED: named.log}
    if named.activities:
        names[draft / _ACTIVITIES] = named.activities
    try:
        yield
    except CasasError as error:
        problem = error.problem
        for ours, theirs in names.items():
            problem = problem.replace(shown(ours), shown(theirs))
        raise type(error)(problem, hint=error.hint) from None


def refuse_simulated(log: Path) -> None:
    """Refuse to take a simulated log for a home's own.

    Raises:
        RefusedError: it is one.
    """
    # A log has no place for a caveat; the truth beside it tells that no home wrote it.
    if log.resolve().with_name(TRUTH_NAME).is_file():
        raise RefusedError(
            f"{shown(log)} is a SIMULATED log; as a home's own, nothing would say so.",
            hint="use it with --simulated and the data.simulate settings that it was made with.",
        )


def _refuse_another(target: Path, log: Path, home: str) -> None:
    refuse_no_file(log)
    refuse_simulated(log)
    if target.exists() and not target.is_symlink() and not target.samefile(log):
        raise RefusedError(
            f"{shown(target)} is another log of '{home}'.", hint="move it away first."
        )


def _at_hand(named: Named, draft: Path) -> tuple[Path, list[str]]:
    """A file that can be read again and again, and what has to be said of how it was made."""
    log = _spooled(named.log, draft / _PIPED)
    activities = named.activities and _spooled(named.activities, draft / _ACTIVITIES)
    if activities is None and not named.columns and not is_interval_log(log):
        return log, []
    text, notes = joined(
        log,
        activities,
        columns=named.columns,
        activity_columns=named.activity_columns,
    )
    path = draft / _JOINED
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return path, notes


def _spooled(path: Path, copy: Path) -> Path:
    """The path, or a copy of what comes out of a pipe, which can be read only once."""
    refuse_no_file(path)
    if not path.is_fifo():
        return path
    size = 0
    with copy.open("wb") as out:
        for piece in _from_pipe(path):
            size += out.write(piece)
            if size > LARGEST:
                raise DataError(f"{shown(path)} does not end after {size:,} bytes.")
    return copy


def _from_pipe(path: Path) -> Iterator[bytes]:
    # Without O_NONBLOCK, opening waits for somebody who writes, for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        watch = select.poll()
        watch.register(pipe, select.POLLIN)
        heard = watch.poll(_SECONDS_TO_OPEN * 1000)
        piece = pipe.read(_PIECE)
        if piece == b"" and not heard:  # None were a writer who is silent so far
            raise DataError(
                f"{shown(path)} is a pipe, and nobody wrote into it for {_SECONDS_TO_OPEN} s.",
                hint="start what writes into it first, or name a file.",
            )
        os.set_blocking(pipe.fileno(), True)
        while piece != b"":
            yield piece or b""
            piece = pipe.read(_PIECE)


def _kept(path: Path, folder: Path) -> Path:
    """A made file under a name by its content, in the home's folder."""
    target = folder / f"{path.stem}-{sha256_of(path)[:12]}{path.suffix}"
    private_folder(folder)
    if not target.is_file():
        with whole_file(target) as partial:
            shutil.copyfile(path, partial)
    return target


def link_log(home: str, log: Path) -> Path:
    """The link under `data/raw/HOME/` that remembers where the user's log of a home lies.

    Raises:
        DataError: there is no such file.
        RefusedError: another log of that home, not a link, lies there already.
    """
    folder = raw() / safe_name(home, what="home")
    _refuse_another(folder / LINK, log, home)
    return _remember(folder, log)


def _remember(folder: Path, log: Path) -> Path:
    target = folder / LINK
    private_folder(folder)
    if not target.exists() or not target.samefile(log):
        # A link cannot be made over another; renamed over it, there is no moment without a log.
        with whole_file(target) as draft:
            draft.symlink_to(log.resolve())
    if target.is_symlink():
        write_json(folder / _MEMORY, {"log": str(target.readlink()), "sha256": sha256_of(log)})
    return target


def log_hash(log: Path) -> str:
    """The SHA-256 of a log; of one that moved, as it was when it was last prepared from.

    Raises:
        DataError: it is not there, and nobody remembers it.
    """
    return remembered_hash(log) or input_hash(log, "name the log with --log PATH")


def remembered_hash(log: Path) -> str:
    """The SHA-256 of a log that moved from where its link points; else nothing."""
    if not log.is_symlink() or log.exists():
        return ""
    try:
        memory = json.loads((log.parent / _MEMORY).read_text(encoding="utf-8"))
        return str(memory["sha256"]) if memory["log"] == str(log.readlink()) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
