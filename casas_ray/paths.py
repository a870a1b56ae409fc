"""Where files lie: the user's data folder, and the drawers of homes and machines.

`CASAS_RAY_DATA` names the data folder; without it, it is `data/` in the working directory. A Ray
job works in a copy of the code that Ray deletes afterwards, so there it is `~/casas_ray_data`
instead.
"""

import contextlib
import os
import re
import tempfile
from pathlib import Path

from casas_ray.errors import RefusedError, SetupError
from casas_ray.files import shown, why

_PACKAGE = Path(__file__).resolve().parent
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,127}")


def data_root() -> Path:
    """The folder that holds raw logs, prepared sets and runs.

    Raises:
        SetupError: CASAS_RAY_DATA names the home of somebody unknown.
    """
    named = os.environ.get("CASAS_RAY_DATA")
    if named:
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError as error:
            raise SetupError(f"CASAS_RAY_DATA={named}: {error}", hint="name a folder.") from None
    # Ray's name for its copies of the code. What is written in one is deleted with the job.
    if "working_dir_files" in Path.cwd().parts:
        return Path.home() / "casas_ray_data"
    return Path.cwd() / "data"


def raw() -> Path:
    """Raw logs, one folder a home."""
    return data_root() / "raw"


def aligned() -> Path:
    """Prepared alignment sets, one folder each, named by what made them."""
    return data_root() / "aligned"


def text_cache() -> Path:
    """Caption vectors, one file for each text model and caption list."""
    return data_root() / "text"


def runs() -> Path:
    """Runs and studies."""
    return data_root() / "runs"


def drawer_files(drawer: str, suffix: str) -> dict[str, Path]:
    """Name to path of every declaration in a drawer (`data/homes`, `cluster`).

    The working directory comes first, then the source tree, then the wheel's own copy.
    """
    packaged = _PACKAGE / "_drawers" / Path(drawer).name
    # The last of a name wins, so the nearest folder stands last.
    folders = [packaged, _PACKAGE.parent / drawer, Path.cwd() / drawer]
    files = (path for folder in folders for path in sorted(folder.glob(f"*{suffix}")))
    return {path.stem: path for path in files}


def safe_name(name: str, *, what: str) -> str:
    """The name itself, when it can be the name of one folder and nothing more.

    Raises:
        RefusedError: it has a slash, `..`, or something a file system may not like.
    """
    # Names come from command lines and study files, and become folders that are written to.
    # fullmatch, since a `$` would let a line break at the end through.
    if not _SAFE_NAME.fullmatch(name):
        raise RefusedError(
            f"{what} '{name}' would leave its folder or cannot be a folder's name.",
            hint="use letters, digits, '.', '_', '-', '+' and '='; start with a letter or a digit.",
        )
    return name


def require_writable(folder: Path, *, what: str) -> None:
    """Refuse a folder that cannot be made, or that takes no files; nothing is left of the trial.

    Raises:
        SetupError: it is one.
    """
    made: list[Path] = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        # Tried, not asked: who is root may write anywhere, but on no file system that takes none.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{what} {shown(folder)} cannot be written to: {why(error)}.",
            hint="name another folder, or make room for this one.",
        ) from None
    finally:
        for place in made:  # the innermost first
            with contextlib.suppress(OSError):
                place.rmdir()
