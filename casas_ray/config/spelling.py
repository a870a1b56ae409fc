"""Which setting somebody means who types its last part, an earlier name, or a name of the field."""

import difflib
from collections.abc import Iterable, Mapping

from casas_ray.config.base import flat
from casas_ray.config.flat_json import EARLIER_NAMES
from casas_ray.config.setup import Setup
from casas_ray.errors import SettingsError

_MOST = 4
"""Paths that a hint names."""

_SHORT = {
    "lr": "optim.learning_rate",
    "bs": "optim.batch_size",
    "wd": "optim.weight_decay",
    "temperature": "loss.temperature_init",
    "window": "data.windows.length",
    "home": "data.homes",
    "gpus": "machine.gpus_per_worker",
    "cpus": "machine.cpus_per_worker",
}
"""What people call a setting whose path says it otherwise."""


def setting_paths() -> list[str]:
    """The path of every setting, as it is typed at the end of a command."""
    return [path.removeprefix("recipe.") for path in flat(Setup())]


def known_as(name: str) -> list[str]:
    """The whole paths of the settings of this name: `lr` is `optim.learning_rate`, `seed` is that
    of the recipe and those of groups."""
    asked = name.replace("-", "_").lower()
    paths = _by_name().get(asked.rpartition(".")[2], [])
    # Of several that end alike, those of the group that was typed, if there are any.
    group = asked.partition(".")[0]
    return [path for path in paths if path.startswith(f"{group}.")] or paths


def meant(name: str) -> list[str]:
    """The whole paths that a name may stand for, the likeliest first; none where nothing is near.

    `epoch` is `optim.epochs`, for a typing error more or less.
    """
    asked = name.replace("-", "_").lower()
    if found := known_as(asked) or difflib.get_close_matches(asked, setting_paths(), 1, 0.75):
        return found
    near = difflib.get_close_matches(asked.rpartition(".")[2], _by_name(), 1, 0.75)
    return [path for each in near for path in _by_name()[each]]


def _by_name() -> dict[str, list[str]]:
    """The paths that a setting's last part, or another name of it, stands for."""
    found: dict[str, list[str]] = {}
    for path in setting_paths():
        found.setdefault(path.rpartition(".")[2], []).append(path)
    others = {**EARLIER_NAMES, **_SHORT}
    return found | {name: [path] for name, path in others.items() if name not in found}


def hint_for(name: str, value: str) -> str:
    """`did you mean loss.mlm_weight=0.2?`, or nothing where no setting is near."""
    found = meant(name)[:_MOST]
    if not found:
        return ""
    return f"did you mean {' or '.join(f'{path}={value}' for path in found)}?"


def refuse_unknown(words: Iterable[str], parsed: Mapping[str, object]) -> None:
    """Refuse a path that is no setting's, with the whole path of the one that was meant.

    Raises:
        SettingsError: one is no setting's, and one that is near is known.
    """
    values = {path: value for path, _, value in (word.partition("=") for word in words)}
    known = setting_paths()
    for path in parsed:
        if any(f"{each}.".startswith(f"{path}.") or path.startswith(f"{each}.") for each in known):
            continue  # a setting, a group of them, or something in a setting: told elsewhere
        if hint := hint_for(path, values.get(path, "...")):
            raise SettingsError(f"unknown setting '{path}'.", hint=hint)
