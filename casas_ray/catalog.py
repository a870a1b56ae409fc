"""Finding studies, starting points and machines by name; yours may live in another repository.

What lies in ./tune_spaces is code: it is run when a name in it is asked for, never to see what it
holds, and whenever it is run that is said.
"""

import ast
import importlib.util
import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from casas_ray.config import Machine, Recipe
from casas_ray.errors import DataError, SettingsError, did_you_mean
from casas_ray.files import read_toml, shown
from casas_ray.paths import drawer_file, drawer_files, hides, installed_studies
from casas_ray.study import Study

log = logging.getLogger(__name__)

_DRAWER = "tune_spaces"
_BASES = "bases"


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
    if path is None or not path.is_file():
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
    # The file's name is the study's: run folders and W&B groups are derived from it.
    return replace(study, name=path.stem)


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
    return getattr(_module(known[name]), name)()


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
        raise SettingsError(error.problem) from None
    return Machine.build({"name": name, **tree})


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
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError, AttributeError, TypeError) as error:
        raise SettingsError(f"{shown(path)}: {type(error).__name__}: {error}") from error
    return module
