"""Whose a folder is: we write only into folders that are empty or that we made."""

import errno
import json
import os
from pathlib import Path

from casas_ray import paths
from casas_ray.errors import RefusedError, SettingsError
from casas_ray.files import MARK, mark, private_folder, shown
from casas_ray.records.ledger import LEDGER, rows_of

# Names that are out in the world: runs of earlier versions have them, and no mark.
RUN_FILE, STUDY_FILE = "run.json", "study.json"


def refuse_strangers(folder: Path) -> None:
    """Refuse a folder that holds something and was not made by us; nothing is written.

    Raises:
        RefusedError: it holds somebody else's files, or is a place that is never a run's.
        SettingsError: its name cannot be a folder's, or it cannot be looked into.
    """
    try:
        found = sorted(path.name for path in folder.iterdir()) if os.path.lexists(folder) else []
        is_everybodys = folder.resolve() in _everybodys()
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        may_write = not there.is_dir() or os.access(there, os.W_OK | os.X_OK)
    except NotADirectoryError:
        raise RefusedError(
            f"{shown(folder)} is no folder.", hint="name a new folder, or that of a run."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise _unusable(folder, error) from None
    if not there.is_dir():
        raise RefusedError(
            f"{shown(there)} is no folder.", hint="name a new folder, or that of a run."
        )
    if not may_write:
        raise _unusable(folder, PermissionError(errno.EACCES, f"{shown(there)} cannot be written"))
    if is_everybodys:
        raise RefusedError(
            f"{shown(folder)} is not for one run alone.", hint="name a new folder in it."
        )
    if found and not _is_ours(folder, found):
        raise RefusedError(
            f"{shown(folder)} holds {found[0]!r} and nothing that says it is a run of casas-ray.",
            hint="name a new folder, an empty one, or that of a run; nothing was written.",
        )


def hint_for_run(typed: Path) -> str:
    """What to do where a folder was typed that holds no run or study."""
    return paths.meant(typed, paths.runs(), otherwise="`casas-ray runs` lists those on disk.")


def own(folder: Path) -> None:
    """Make the folder where there is none, and mark it as ours.

    Raises:
        RefusedError, SettingsError: as for `refuse_strangers`, or it cannot be written.
    """
    refuse_strangers(folder)
    try:
        private_folder(folder)
        # Before anything else is written: killed after it, the folder is still known for ours.
        mark(folder)
    except OSError as error:
        raise _unusable(folder, error) from None


def _everybodys() -> set[Path]:
    """The root, the home and the data folder with all that they lie in, and the data's drawers."""
    roots = [path.resolve() for path in (Path.home(), paths.data_root())]
    around = {path for root in roots for path in (root, *root.parents)}
    drawers = (paths.raw(), paths.aligned(), paths.text_cache(), paths.runs())
    return around | {path.resolve() for path in drawers}


def _is_ours(folder: Path, found: list[str]) -> bool:
    if (folder / MARK).is_file():
        return True
    if _holds(folder / RUN_FILE, "recipe") or _holds(folder / STUDY_FILE, "trials"):
        return True
    # What earlier versions left when they were stopped, or when a disk was full.
    emptied = [name for name in (RUN_FILE, STUDY_FILE) if _is_empty(folder / name)]
    if emptied and (len(found) == 1 or ".lock" in found):
        return True
    return any(row["event"] == "start" for row in rows_of(folder / LEDGER))


def _holds(path: Path, key: str) -> bool:
    try:
        held = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and key in held


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size


def _unusable(folder: Path, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or error
    return SettingsError(
        f"{str(folder)[:200]} cannot be a run's folder: {reason}.", hint="name another one."
    )
