"""The set that settings ask for: a prepared one by its name, or that of homes and their logs."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from casas_ray import paths
from casas_ray.config import DataConfig
from casas_ray.corpus.alignment import MANIFEST, PreparedSet
from casas_ray.corpus.fetch import log_at_hand, logs_for
from casas_ray.corpus.homes import known_homes
from casas_ray.corpus.prepare import Watch, prepare
from casas_ray.corpus.set_checks import AGAIN
from casas_ray.errors import DataError, MissingData, SettingsError, SetupError, did_you_mean
from casas_ray.files import shown

_JSON_HOME = re.compile(r"json-[0-9a-f]{8}")
"""What stands for the home of alignment JSON, whose files do not tell whose it is."""


def set_for(config: DataConfig, *, watch: Watch = lambda _: None) -> PreparedSet:
    """The set that settings ask for: the one they name, else that of their homes' logs, made where
    there is none yet. Where a log is gone, the one set that was made of it with these settings.

    Raises:
        DataError: there is no such set, or a log is missing or cannot be used.
        SetupError: a cluster's job misses what may lie where it was sent from.
        SettingsError: other settings of data stand beside a set's name.
    """
    try:
        return _set_at_hand(config, watch)
    except MissingData as error:
        if not paths.in_job_copy():
            raise
        names = ", ".join(f"`casas-ray push {name}`" for name in config.homes)
        raise SetupError(
            f"on this cluster {error.problem}",
            hint=f"{names} sends what lies on your machine. Else: {error.hint}",
        ) from None


def _set_at_hand(config: DataConfig, watch: Watch) -> PreparedSet:
    if name := set_named(config.homes):
        prepared = find_set(name)
        if settings_of(prepared) != config:
            raise SettingsError(
                f"the settings of data are not those of the set {prepared.folder.name}, whose "
                "windows are cut already.",
                hint="recipe.with_data(settings_of(prepared)) takes those of the set.",
            )
        return prepared
    try:
        logs = logs_for(config)
    except DataError as missing:
        return _made_before(config, missing, watch)
    try:
        return prepare(config, logs, watch=watch)
    except DataError as error:
        if all(log.exists() for log in logs.values()):
            raise
        raise _with_others_named(error, config.homes) from None


def set_named(homes: Sequence[str]) -> str:
    """The prepared set that is named in place of homes, or nothing where homes are named.

    Raises:
        SettingsError: it stands beside homes or other sets.
    """
    named = [name for name in homes if _names_a_set(name)]
    if named and len(homes) > 1:
        raise SettingsError(
            f"'{named[0]}' is a prepared set, which stands alone in data.homes.",
            hint="several homes make one set when each is named as a home.",
        )
    return named[0] if named else ""


def find_set(name: str) -> PreparedSet:
    """The prepared set of this name, checked: its folder's name or path, or what stands for its
    home.

    Raises:
        DataError: there is no such set, it is damaged, or it lies elsewhere.
    """
    prepared = PreparedSet(_folder_of(name))
    prepared.check()
    return prepared


def settings_of(prepared: PreparedSet) -> DataConfig:
    """What a set was made with; of alignment JSON no more is known than what stands for its home.

    Raises:
        DataError: it was made by a version with other settings.
    """
    held = prepared.manifest.get("settings", {"homes": [prepared.manifest["home"]]})
    try:
        return DataConfig.build(held)
    except SettingsError as error:
        raise DataError(
            f"{shown(prepared.folder / MANIFEST)}: {error.problem}", hint=AGAIN
        ) from None


def _names_a_set(name: str) -> bool:
    if not paths.may_be_a_set(name):
        return False
    if not paths.is_safe_name(name):
        return True
    # A home may be called as sets are.
    return name not in known_homes() and log_at_hand(name) is None


def _folder_of(name: str) -> Path:
    sets = {path.parent.name: path.parent for path in paths.aligned().glob(f"*/{MANIFEST}")}
    if "/" in name:
        return _beside_others(Path(name).expanduser(), list(sets.values()))
    begun = [folder for folder in sets.values() if folder.name[:-4] == name]
    folder = sets.get(name) or (begun[0] if _JSON_HOME.fullmatch(name) and begun else None)
    if folder is None:
        raise MissingData(
            f"no prepared set '{name}' is in {shown(paths.aligned())}.",
            hint=did_you_mean(name, sets) if sets else "`casas-ray prepare` makes one.",
        )
    return folder


def _beside_others(path: Path, sets: Sequence[Path]) -> Path:
    folder = next((each for each in sets if path.exists() and each.samefile(path)), None)
    if folder is None:
        raise DataError(
            f"{shown(path)} is no prepared set in {shown(paths.aligned())}.",
            hint="name one of those, which `casas-ray homes` lists; CASAS_RAY_DATA names another "
            "data folder.",
        )
    return folder


def _made_before(config: DataConfig, missing: DataError, watch: Watch) -> PreparedSet:
    found = list(_made_with(config))
    if not found:
        raise _with_others_named(missing, config.homes)
    if len(found) > 1:
        names = ", ".join(prepared.folder.name for prepared in found)
        raise DataError(
            f"{missing.problem} {len(found)} sets were made with these settings: {names}.",
            hint=f"name one of them: data.homes={found[-1].folder.name}",
        )
    watch(f"{missing.problem} {shown(found[0].folder)} was made of it, and is taken.")
    found[0].check()
    return found[0]


def _with_others_named(missing: DataError, homes: Sequence[str]) -> DataError:
    """The error with the sets in its hint that were made of these homes with other settings."""
    # By what the set's settings say: those of alignment JSON are of no home's log.
    held = [
        prepared.folder.name
        for prepared, settings in _readable_sets()
        if settings.get("homes") == list(homes) and not settings.get("simulated")
    ]
    if not held:
        return missing
    more = f" (or {', '.join(held[:-1])})" if held[:-1] else ""
    return type(missing)(
        missing.problem,
        hint=f"{missing.hint}; or take a set that was made of it with other settings: "
        f"data.homes={held[-1]}{more}",
    )


def _made_with(config: DataConfig) -> Iterator[PreparedSet]:
    held = config.model_dump(mode="json")
    return (prepared for prepared, settings in _readable_sets() if settings == held)


def _readable_sets() -> Iterator[tuple[PreparedSet, Mapping[str, Any]]]:
    """The sets at hand, and the settings that each was made with; none of damaged ones."""
    for path in sorted(paths.aligned().glob(f"*/{MANIFEST}")):
        prepared = PreparedSet(path.parent)
        with contextlib.suppress(DataError):  # `casas-ray homes` tells of a damaged one
            yield prepared, prepared.manifest.get("settings") or {}
