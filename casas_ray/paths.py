"""Where files lie: the user's data folder, and the drawers of homes and machines; the one door that
names and paths from files come through.

`CASAS_RAY_DATA` names the data folder; without it, it is `data/` in the working directory. A Ray
job works in a copy of the code that Ray deletes afterwards, so there it is `~/casas_ray_data`
instead.
"""

import contextlib
import difflib
import functools
import hashlib
import logging
import os
import re
import tempfile
import unicodedata
from pathlib import Path, PurePosixPath

from casas_ray.errors import RefusedError, SetupError
from casas_ray.files import private_folder, shown, why

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).resolve().parent
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._+=-]+")
_SET_NAME = re.compile(r".+-[0-9a-f]{12}|json-[0-9a-f]{8}")
LONGEST_NAME = 128
"""Of a folder."""
_MARKS = frozenset(" ._+=-")
# Letters that no normal form of Unicode takes apart.
_IN_PLAIN = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})
_SAFE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=() -]{0,127}")


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
    # What is written in a job's copy of the code is deleted with the job.
    if in_job_copy():
        return Path.home() / "casas_ray_data"
    return Path.cwd() / "data"


def in_job_copy() -> bool:
    """Whether this process works in a copy of the code that Ray made for a job."""
    return "working_dir_files" in Path.cwd().parts  # Ray's name for its copies


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


def clusters() -> Path:
    """Clusters of homes that nothing was trained on; those of a run lie in its folder."""
    return data_root() / "clusters"


def meant(typed: Path, root: Path, *, otherwise: str) -> str:
    """A hint: the folder below `root`, or beside the one typed, that was meant; or the other."""
    place, name = root, typed.parent.name  # of a folder in one that is not there
    if typed.parent == Path():
        name = typed.name
    elif typed.parent.is_dir():
        place, name = typed.parent, typed.name
    known = {path.name for path in place.glob("*/") if not path.name.startswith(".")} - {typed.name}
    found = difflib.get_close_matches(name, sorted(known), n=1)
    found += sorted(each for each in known if name and each.startswith(name))
    return f"did you mean {shown(place / found[0])}?" if found else otherwise


def example_configuration() -> Path | None:
    """The flat JSON configuration that comes with this package, where it does."""
    named = [folder / "milan_baseline_config.json" for folder in _installed("docs/examples")]
    return next((path for path in named if path.is_file()), None)


def drawer_files(drawer: str, suffix: str) -> dict[str, Path]:
    """Name to path of every declaration in a drawer (`data/homes`, `cluster`).

    The working directory comes first, then the source tree, then the wheel's own copy.
    """
    # The last of a name wins, so the nearest folder stands last.
    folders = [*_installed(drawer), Path.cwd() / drawer]
    files = (path for folder in folders for path in sorted(folder.glob(f"*{suffix}")))
    # What cannot be a folder's name is no home's and no machine's.
    return {path.stem: path for path in files if is_safe_name(path.stem)}


def drawer_file(drawer: str, suffix: str, name: str) -> Path | None:
    """The declaration of this name, or None; said aloud where one here hides an installed one."""
    path = drawer_files(drawer, suffix).get(name)
    if path is not None and path.parent == Path.cwd() / drawer:
        _say_if_hiding(path, tuple(folder / path.name for folder in _installed(drawer)))
    return path


def _installed(drawer: str) -> list[Path]:
    return [_PACKAGE / "_drawers" / Path(drawer).name, _PACKAGE.parent / drawer]


def installed_studies() -> Path:
    """The folder of the studies that came with this package."""
    return _PACKAGE.parent / "tune_spaces"


@functools.cache  # once a process is aloud enough
def _say_if_hiding(path: Path, others: tuple[Path, ...]) -> None:
    if any(hides(path, other) for other in others):
        log.warning("%s of the current folder is taken, not the installed one.", shown(path))


def hides(path: Path, installed: Path) -> bool:
    """Whether a file is taken in place of an installed one."""
    return installed.is_file() and not installed.samefile(path)


def is_safe_name(name: str) -> bool:
    """Whether it can be the name of one folder and nothing more; letters are those of any
    alphabet."""
    if not name[:1].isalnum() or name[-1:] == " ":
        return False
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return size <= LONGEST_NAME and all(map(_is_of_a_name, name))


def _is_of_a_name(char: str) -> bool:
    # Vowel signs and accents of their own are no letters to Python.
    return char.isalnum() or char in _MARKS or unicodedata.category(char) in ("Mn", "Mc")


def folder_name(text: str, *, most: int = LONGEST_NAME) -> str:
    """A folder's name for a text: the text itself where it can be one in plain letters, else in
    those, shortened to `most`, with a hash that keeps unlike texts apart."""
    if _PLAIN_NAME.fullmatch(text) and len(text) <= most:
        return text
    # Whoever types a letter with its accent, and whoever types one after the other, mean one name.
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode(errors="replace"))
    taken_apart = unicodedata.normalize("NFKD", text.translate(_IN_PLAIN))
    letters = "".join(char for char in taken_apart if not unicodedata.combining(char))
    stem = _NOT_PLAIN.sub("_", letters).lstrip("._+=-")[: most - 9].rstrip("._+=-")
    return f"{stem}-{digest.hexdigest()[:8]}".lstrip("-")


def may_be_a_set(name: str) -> bool:
    """Whether what stands where homes are named may be a prepared set: a path, or a name that ends
    in a hash as those of sets do."""
    return "/" in name or bool(_SET_NAME.fullmatch(name))


def safe_name(name: str, *, what: str) -> str:
    """The name itself, when it can be the name of one folder and nothing more.

    Raises:
        RefusedError: it has a slash, `..`, or something a file system may not like.
    """
    # Names come from command lines and files, and become folders that are written to.
    if not is_safe_name(name):
        raise RefusedError(
            f"{what} '{name}' would leave its folder or cannot be a folder's name.",
            hint="use letters, digits, spaces and ._-+=, and begin with a letter or a digit.",
        )
    return name


def safe_path(path: str, *, what: str) -> str:
    """The path itself, when it stays below the folder that it is joined to.

    Raises:
        RefusedError: it is absolute, goes up, or has a part that a file system may not like.
    """
    parts = PurePosixPath(path).parts
    if not parts or "/".join(parts) != path or not all(map(_SAFE_PART.fullmatch, parts)):
        raise RefusedError(
            f"{what} '{path}' would leave its folder or cannot be a path in it.",
            hint="write names with '/' between them; each starts with a letter or a digit.",
        )
    return path


def require_writable(folder: Path, *, what: str) -> None:
    """Refuse a folder that cannot be made, or that takes no files; nothing is left of the trial.

    Raises:
        SetupError: it is one.
    """
    made: list[Path] = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        private_folder(folder)
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
