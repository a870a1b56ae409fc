"""What a shell may offer for a word: names of studies, homes, sets, runs, machines and settings.

Every Tab starts a process, so nothing here imports more than declarations, and no study is run.
"""

import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from casas_ray import paths
from casas_ray.catalog import bases, study_files
from casas_ray.config import Recipe, Setup
from casas_ray.config.base import Settings
from casas_ray.config.spelling import setting_paths
from casas_ray.corpus.homes import known_homes, logged_homes
from casas_ray.errors import CasasError
from casas_ray.files import shown
from casas_ray.paths import drawer_files
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE

# A shell evaluates what it is offered, and names of files come from anywhere.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")


def _offered(names: Iterable[str], typed: str) -> list[str]:
    return sorted(name for name in names if name.startswith(typed) and _PLAIN.fullmatch(name))


def studies(incomplete: str) -> list[str]:
    """Names of studies."""
    return _offered(study_files(), incomplete)


def starting_points(incomplete: str) -> list[str]:
    """Names of starting points."""
    try:
        return _offered(bases(), incomplete)
    except CasasError:  # a bases.py that is no Python
        return []


def machines(incomplete: str) -> list[str]:
    """Names of machines."""
    return _offered(drawer_files("cluster", ".toml"), incomplete)


def homes(incomplete: str) -> list[str]:
    """Names of homes that have facts or a log; the last of several with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _offered(_every_home(), last)]


def _every_home() -> set[str]:
    return {*known_homes(), *logged_homes()}


def published_homes(incomplete: str) -> list[str]:
    """Names of homes that have facts."""
    return _offered(known_homes(), incomplete)


def runs(incomplete: str) -> list[str]:
    """Folders of runs and studies, and of the trials of a study that was typed."""
    return _folders(paths.runs(), incomplete, (RUN_FILE, STUDY_FILE))


def runs_and_homes(incomplete: str) -> list[str]:
    """Folders of runs and studies, and names of homes."""
    return [*runs(incomplete), *_offered(_every_home(), incomplete)]


def sets(incomplete: str) -> list[str]:
    """Folders of prepared sets."""
    return _folders(paths.aligned(), incomplete, ("manifest.json",))


def _folders(root: Path, typed: str, marks: Iterable[str]) -> list[str]:
    """The folders one level below the one typed that hold one of the files."""
    below = typed.startswith(f"{shown(root)}/")
    folder = Path(typed.rpartition("/")[0]) if below else root
    found = [path for path in folder.glob("*") if any((path / mark).is_file() for mark in marks)]
    names = [shown(path) for path in found if _PLAIN.fullmatch(path.name)]
    return sorted(name for name in names if name.startswith(typed))


def first_of_train(context: typer.Context, incomplete: str) -> list[str]:
    """Starting points, or a setting in their stead."""
    return [*starting_points(incomplete), *(changes(context, incomplete) if incomplete else [])]


def changes(context: typer.Context, incomplete: str) -> list[str]:
    """Paths of settings, and behind a path and its `=` what it takes."""
    path, equals, value = incomplete.partition("=")
    if equals:
        return [f"{path}={each}" for each in _values(path, value)]
    # Bash cuts words at every `=`, and hands on the parts.
    typed = [str(word) for word in _positional(context) if word != "="]
    if typed and typed[-1] in setting_paths():
        return _values(typed[-1], incomplete)
    return _paths(incomplete)


def _paths(typed: str) -> list[str]:
    found = [path for path in setting_paths() if path.startswith(typed)]
    if len(found) != 1:
        return [f"{path}=" for path in found]
    # With a second offer beside it, a shell puts no space behind the only one.
    path = found[0]
    return list(dict.fromkeys([f"{path}=", *(f"{path}={each}" for each in _values(path, ""))]))


def _positional(context: typer.Context) -> Iterator[object]:
    for parameter in context.command.params:
        if parameter.param_type_name == "argument":
            value = context.params.get(parameter.name or "")
            yield from value if isinstance(value, list | tuple) else [value] if value else []


def _values(path: str, typed: str) -> list[str]:
    if path in ("data.homes", "data.split.held_out"):
        return homes(typed)
    annotation = _annotation(path)
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    known = [str(each) for each in choices] or (["true", "false"] if annotation is bool else [])
    return [each for each in known if each.startswith(typed)]


def _annotation(path: str) -> object:
    """The type of a setting; None where there is no such path."""
    group: object = Setup if path.partition(".")[0] in Setup.model_fields else Recipe
    for name in path.split("."):
        if not (isinstance(group, type) and issubclass(group, Settings)):
            return None
        field = group.model_fields.get(name)
        group = field.annotation if field else None
    return group
