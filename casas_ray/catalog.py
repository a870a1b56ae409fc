"""Finding studies, starting points and machines by name; yours may live in another repository.

What lies in ./tune_spaces is code: it is run when a name in it is asked for, never to see what it
holds, and whenever it is run that is said.
"""

import ast
import importlib.util
import logging
import signal
import sys
import threading
from bdb import BdbQuit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, ModuleType

from casas_ray.config import Machine, Recipe
from casas_ray.errors import CasasError, DataError, SettingsError, Terminated, did_you_mean
from casas_ray.files import read_toml, shown, why
from casas_ray.paths import drawer_file, drawer_files, hides, installed_studies
from casas_ray.study import Study

log = logging.getLogger(__name__)

_DRAWER = "tune_spaces"
_BASES = "bases"
_SECONDS_TO_READ = 30
"""For a study's file; it may import what is slow, but trains nothing."""


def study_files() -> dict[str, Path]:
    """Name to file of every study: those installed, then those in ./tune_spaces, which win."""
    files: dict[str, Path] = {}
    for folder in _drawers():
        files |= {path.stem: path for path in sorted(folder.glob("*.py"))}
    return {name: path for name, path in files.items() if name not in ("__init__", _BASES)}


def find_study(name: str) -> Study:
    """The study of this name, or in the file of this path.

    Raises:
        SettingsError: there is none, it is a starting point, or its file is no study.
    """
    path = Path(name) if name.endswith(".py") else study_files().get(name)
    if path is None or not _is_file(path):
        if name in bases():
            raise SettingsError(
                f"'{name}' is a starting point, not a study.",
                hint=f"train it: casas-ray train {name}",
            )
        raise SettingsError(f"no study '{name}'.", hint=did_you_mean(name, study_files()))
    if path != Path(name):
        _say_if_here(path)
    study = getattr(_module(path), "STUDY", None)
    if not isinstance(study, Study):
        raise SettingsError(
            f"{shown(path)} defines no STUDY.", hint="see tune_spaces/milan_ablation_mlm.py"
        )
    with _code_of(path):
        # The file's name is the study's: run folders and W&B groups are derived from it.
        study = replace(study, name=path.stem)
        study.trials()  # seeds and arms may be no numbers and no arms
    return study


@dataclass(frozen=True)
class Declared:
    """A study that can be run, as its file tells of it."""

    name: str
    path: Path
    question: str
    study: Study | None
    """None of one in the current folder, whose file is read and not run."""


def declared_studies() -> list[Declared]:
    """Every study that can be run by its name; a file that cannot be read asks nothing.

    Raises:
        SettingsError: an installed file is no study.
    """
    return [_declared(name, path) for name, path in sorted(study_files().items())]


def _declared(name: str, path: Path) -> Declared:
    if path.parent == installed_studies():
        study = find_study(name)
        return Declared(name, path, study.question, study)
    try:
        said = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    except (OSError, SyntaxError, ValueError, RecursionError):
        said = ""
    return Declared(name, path, said.partition("\n")[0], None)


def bases(*, here: bool = True) -> dict[str, Path]:
    """Name to file of every starting point: those installed, then, unless `here` is off, those in
    ./tune_spaces/bases.py. The files are read, and not run."""
    files = [folder / f"{_BASES}.py" for folder in (_drawers() if here else _drawers()[:1])]
    return {name: path for path in files if path.is_file() for name in _functions(path)}


def _functions(path: Path) -> list[str]:
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise SettingsError(f"{shown(path)}: {type(error).__name__}: {error}") from None
    # What bases.py merely imports is no starting point.
    names = [part.name for part in body if isinstance(part, ast.FunctionDef)]
    return [name for name in names if not name.startswith("_")]


def find_base(name: str, *, here: bool = True) -> Recipe:
    """The starting point of this name; with `here` off, the one installed.

    Raises:
        SettingsError: there is none, or it is a study.
    """
    known = bases(here=here)
    if name not in known:
        if name in study_files():
            raise SettingsError(
                f"'{name}' is a study, not a starting point.",
                hint=f"run all its arms: casas-ray tune {name}",
            )
        raise SettingsError(f"no starting point '{name}'.", hint=did_you_mean(name, known))
    _say_if_here(known[name])
    function = getattr(_module(known[name]), name)
    with _code_of(known[name]):
        return function()


def find_machine(name: str) -> Machine:
    """The machine of this name, from `cluster/NAME.toml`.

    Raises:
        SettingsError: there is none, or its file holds something else.
    """
    path = drawer_file("cluster", ".toml", name)
    if path is None:
        known = drawer_files("cluster", ".toml")
        raise SettingsError(f"no machine '{name}'.", hint=did_you_mean(name, known))
    try:
        tree = read_toml(path)
    except DataError as error:
        raise SettingsError(error.problem, hint=error.hint) from None
    try:
        return Machine.build({"name": name, **tree})
    except SettingsError as error:
        raise SettingsError(
            f"{shown(path)}: {error.problem}",
            hint=error.hint or "`casas-ray settings` lists what each takes.",
        ) from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, or a folder that is not ours to look into
        return False


def _drawers() -> list[Path]:
    # Ours lie beside this package. Python's own search would take the current folder for installed.
    installed, here = installed_studies(), Path.cwd() / _DRAWER
    is_other = here.is_dir() and not (installed.is_dir() and here.samefile(installed))
    return [installed, here] if is_other else [installed]


def _say_if_here(path: Path) -> None:
    """Say aloud that code of the current folder is run."""
    installed = installed_studies()
    if path.parent != installed:
        instead = ", not the installed one" if hides(path, installed / path.name) else ""
        log.warning("running %s of the current folder%s.", shown(path), instead)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{_DRAWER}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{shown(path)} is not a Python file.")
    # Never put into sys.modules: two drawers may hold files of one name. It runs the file's code,
    # as `import` would: a study from elsewhere is to be read before it is named.
    module = importlib.util.module_from_spec(spec)
    with _code_of(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _code_of(path: Path) -> Iterator[None]:
    """A block that runs code of a study's file; however that ends, the error names the file.

    Raises:
        SettingsError: it raised, exited, or did not come to an end.
    """
    hint = "`python FILE` shows where; a study only declares, see tune_spaces/milan_ablation_mlm.py"
    try:
        with _alarm():
            yield
    except CasasError as error:
        raise type(error)(f"{shown(path)}: {error.problem}", hint=error.hint) from None
    except (KeyboardInterrupt, Terminated, BdbQuit):
        raise
    except _TooLong:
        problem = f"{shown(path)}: it was not read in {_SECONDS_TO_READ} s; does it loop?"
        raise SettingsError(problem, hint=hint) from None
    except BaseException as error:  # sys.exit among them: whose code this is, nobody knows
        problem = f"{shown(path)}: {type(error).__name__}: {why(error)}"
        raise SettingsError(problem, hint=hint) from error


class _TooLong(BaseException):
    """No Exception, or the file's own `except Exception` would take it."""


@contextmanager
def _alarm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only a main thread can be woken
        return

    def ring(number: int, frame: FrameType | None) -> None:
        if sys.gettrace() is None:  # a person at a debugger may take as long as they like
            raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    # Whoever waits for an alarm of their own gets it later, not never.
    others = signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_READ, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *others)
        signal.signal(signal.SIGALRM, before)
