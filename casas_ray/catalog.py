"""Finding studies, starting points and machines by name; yours may live in another repository."""

import importlib.util
import inspect
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from casas_ray.config import Machine, Recipe
from casas_ray.errors import SettingsError, did_you_mean
from casas_ray.files import shown
from casas_ray.paths import drawer_files
from casas_ray.study import Study

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
    study = getattr(_module(path), "STUDY", None)
    if not isinstance(study, Study):
        raise SettingsError(
            f"{shown(path)} defines no STUDY.", hint="see tune_spaces/milan_ablation_mlm.py"
        )
    # The file's name is the study's: run folders and W&B groups are derived from it.
    return replace(study, name=path.stem)


def bases() -> dict[str, Callable[[], Recipe]]:
    """Name to function of every starting point: those installed, then ./tune_spaces/bases.py."""
    functions: dict[str, Callable[[], Recipe]] = {}
    for folder in _drawers():
        path = folder / f"{_BASES}.py"
        if path.is_file():
            module = _module(path)
            functions |= {
                name: function
                for name, function in inspect.getmembers(module, inspect.isfunction)
                # What bases.py merely imports is no starting point.
                if function.__module__ == module.__name__ and not name.startswith("_")
            }
    return functions


def find_base(name: str) -> Recipe:
    """The starting point of this name.

    Raises:
        SettingsError: there is none, or it is a study.
    """
    known = bases()
    if name not in known:
        if name in study_files():
            raise SettingsError(
                f"'{name}' is a study, not a starting point.",
                hint=f"run all its arms: casas-ray tune {name}",
            )
        raise SettingsError(f"no starting point '{name}'.", hint=did_you_mean(name, known))
    return known[name]()


def find_machine(name: str) -> Machine:
    """The machine of this name, from `cluster/NAME.toml`.

    Raises:
        SettingsError: there is none, or its file holds something else.
    """
    files = drawer_files("cluster", ".toml")
    if name not in files:
        raise SettingsError(f"no machine '{name}'.", hint=did_you_mean(name, files))
    try:
        tree = tomllib.loads(files[name].read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{shown(files[name])}: {error}") from None
    return Machine.build({"name": name, **tree})


def _drawers() -> list[Path]:
    installed = importlib.util.find_spec(_DRAWER)
    packaged = (
        [Path(folder) for folder in installed.submodule_search_locations or ()] if installed else []
    )
    here = Path.cwd() / _DRAWER
    return [*packaged, *([here] if here.is_dir() and here not in packaged else [])]


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
