"""A study taken up again with more seeds or arms: in the folder where it lies, none run twice."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from casas_ray import paths
from casas_ray.config import Recipe, differences
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import shown
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_folder import Asked, folder_of, lay_out, name_of
from casas_ray.records.study_record import StudyRecord, read_study
from casas_ray.study import BASE_ARM, Study

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

Differences = Mapping[str, tuple[object, object]]
"""By setting, what the folder's trial has and what is asked for."""


def take_up(asked: Asked) -> tuple[StudyRecord, list[RunRecord]]:
    """A study's record and one run record a trial that is asked for, as `lay_out` makes them; in
    the folder of a study of the same base where there is one.

    Raises:
        RefusedError: the folder lacks trials and is not to be extended; or all that was trained of
            this study has another base, or an arm of the same name that differs.
    """
    held = None if asked.fresh or asked.folder else _held(asked)
    # All that `lay_out` could find wrong with it was looked at.
    return lay_out(replace(asked, folder=held.folder, extend=True) if held else asked)


def _held(asked: Asked) -> StudyRecord | None:
    study, sets = asked.study, asked.sets
    exact = folder_of(study, sets)
    if (exact / STUDY_FILE).exists():
        return None  # `lay_out` finds it by its name
    earlier = _earlier(study, sets)
    alike = [held for held in earlier if not _changed(held, BASE_ARM, study.base, sets[0])]
    if not alike:
        if asked.extend and earlier:
            raise _other_base(earlier[0], study, sets[0])
        return None
    held = alike[0]
    _refuse_other_arms(held, study)
    lacking = _lacking(held, study)
    if lacking and not asked.extend:
        raise RefusedError(
            f"{shown(held.folder)} has this study with the same base, but not {lacking}.",
            hint="--extend adds to it and trains nothing twice; --fresh trains all anew.",
        )
    return held


def _earlier(study: Study, sets: Sequence["PreparedSet"]) -> list[StudyRecord]:
    """Studies of this name on these homes of which something was trained; the newest first."""
    start, end = name_of(study, sets)
    pattern = glob.escape(start + end.rpartition("-")[0]) + "-*"
    found = sorted(
        (path.parent for path in paths.runs().glob(f"{pattern}/{STUDY_FILE}")),
        key=lambda folder: (folder / STUDY_FILE).stat().st_mtime,
        reverse=True,
    )
    records = [record for folder in found if (record := _readable(folder)) is not None]
    return [record for record in records if _trained(record, BASE_ARM) is not None]


def _readable(folder: Path) -> StudyRecord | None:
    try:
        return read_study(folder)
    except DataError:  # its own command says so, and mends it
        return None


def _trained(held: StudyRecord, arm: str) -> RunRecord | None:
    """A trial of the arm whose recipe was written down."""
    folders = (held.folder / name for of, _, name in held.trials if of == arm)
    for folder in folders:
        if (folder / RUN_FILE).exists():
            try:
                return RunRecord.read(folder)
            except DataError:
                continue
    return None


def _changed(
    held: StudyRecord, arm: str, recipe: Recipe, prepared: "PreparedSet | None" = None
) -> Differences:
    """In what the arm that was trained differs from this recipe, its seed aside."""
    run = _trained(held, arm)
    if run is None:
        return {}
    asked = recipe.replace({"seed": run.recipe.seed})
    before, after = differences(asked, run.recipe), differences(run.recipe, asked)
    changed = {path: (before.get(path), after.get(path)) for path in {*before, *after}}
    seen = RunResult.read(run.folder).info.get("fingerprint")
    if prepared is not None and seen and seen != prepared.fingerprint:
        changed["the data's fingerprint"] = (seen, prepared.fingerprint)
    return changed


def _other_base(held: StudyRecord, study: Study, prepared: "PreparedSet") -> RefusedError:
    return RefusedError(
        f"{shown(held.folder)} has another base: "
        f"{_told(_changed(held, BASE_ARM, study.base, prepared))}.",
        hint="leave --extend out, and the study runs in a folder of its own.",
    )


def _refuse_other_arms(held: StudyRecord, study: Study) -> None:
    for arm in study.arms:
        if changed := _changed(held, arm.name, study.base.replace(arm.changes)):
            raise RefusedError(
                f"{shown(held.folder)} has another arm '{arm.name}': {_told(changed)}.",
                hint="give the arm another name, or --fresh for a new folder.",
            )


def _told(changed: Differences) -> str:
    return ", ".join(f"{path} was {old}, is {new}" for path, (old, new) in sorted(changed.items()))


def _lacking(held: StudyRecord, study: Study) -> str:
    has = {(arm, seed) for arm, seed, _ in held.trials}
    asked = [(trial.arm, trial.recipe.seed) for trial in study.trials()]
    missing = [trial for trial in asked if trial not in has]
    if not missing:
        return ""
    known = {arm for arm, _ in has}
    arms = list(dict.fromkeys(arm for arm, _ in missing if arm not in known))
    seeds = sorted({seed for arm, seed in missing if arm in known})
    parts = [f"arm {', '.join(arms)}"] if arms else []
    return " and ".join([*parts, *([f"seed {', '.join(map(str, seeds))}"] if seeds else [])])
