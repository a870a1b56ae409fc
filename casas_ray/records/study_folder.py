"""A study's folder: where it lies, whose it is, and what is written there before its trials."""

import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casas_ray import paths
from casas_ray.config import Tracking
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import shown
from casas_ray.records.ledger import LEDGER
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, own
from casas_ray.records.rule import Rule, new_rule
from casas_ray.records.run_record import RunRecord, changed_from
from casas_ray.records.study_record import StudyRecord, Trials, read_study, write_study
from casas_ray.study import BASE_ARM, Study, Trial, former_arm_name

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A study that is to be trained: on which data, and where it goes."""

    study: Study
    tracking: Tracking

    sets: Sequence["PreparedSet"]
    """Each trial's data."""

    folder: Path | None = None
    """Its own; without one, the same study on the same data has the same folder."""

    fresh: bool = False
    """Whether it takes a new folder beside the one that is there."""

    extend: bool = False
    """Whether trials may be added to what a folder holds."""

    most: int | None = None
    """Seeds at most, which the rule says before the first trial."""


def lay_out(asked: Asked) -> tuple[StudyRecord, list[RunRecord]]:
    """A study's record and one run record a trial, its folder made.

    Seeds that the folder holds besides those asked for have run records too. Before the first trial
    the rule is written.

    Raises:
        RefusedError: another process is at work in its folder, or it holds another study.
    """
    study, sets = asked.study, asked.sets
    trials = study.trials()
    folder = asked.folder or folder_of(study, sets)
    folder = _fresh(folder) if asked.fresh else folder
    own(folder)
    # Locked: who is at work there has written the same, and reads it.
    with locked(folder):
        held = _renamed(_readable(folder), study)
        record = _grown(asked, folder, held)
        by_arm = {trial.arm: prepared for trial, prepared in zip(trials, sets, strict=True)}
        names = {(arm, seed): name for arm, seed, name in record.trials}
        runs = [
            _run_of(asked, trial, folder / names[trial.arm, trial.recipe.seed], prepared)
            for trial in [*trials, *_further(record, trials)]
            for prepared in [by_arm[trial.arm]]
        ]
        if asked.folder:
            is_more = (
                held is not None and not asked.extend and len(record.trials) > len(held.trials)
            )
            _refuse_another(record.folder, runs, is_more=is_more)
        write_study(record)
        for run in runs:
            _mend(run)
    return record, runs


def _readable(folder: Path) -> StudyRecord | None:
    try:
        return read_study(folder) if (folder / STUDY_FILE).exists() else None
    except DataError as error:
        log.warning("%s It is written anew.", error.problem)
        return None


def _renamed(held: StudyRecord | None, study: Study) -> StudyRecord | None:
    """What is held, its arms under the names of today: earlier versions spelt values otherwise."""
    now = {former: arm.name for arm in study.arms if (former := former_arm_name(arm))}
    if held is None or not now:
        return held
    trials = tuple((now.get(arm, arm), seed, name) for arm, seed, name in held.trials)
    return replace(held, trials=trials, rule=held.rule and held.rule.renamed(now))


def _grown(asked: Asked, folder: Path, held: StudyRecord | None) -> StudyRecord:
    """What the folder holds of the study already, with what is asked for now."""
    study, sets = asked.study, asked.sets
    homes = {trial.recipe.data.label for trial in study.trials()}
    caveats = [caveat for prepared in sets for caveat in prepared.caveats]
    about = [*(held.sets if held else ()), *(prepared.about for prepared in sets)]
    record = StudyRecord(
        folder,
        study.name,
        study.question,
        tuple(sorted(homes.union(held.homes if held else ()))),
        study.quick,
        tuple(dict.fromkeys([*(held.caveats if held else ()), *caveats])),
        _united(held.trials if held else (), study, folder),
        tuple({json.dumps(each, sort_keys=True): each for each in about}.values()),
        changes=study.changes,
    )
    return replace(record, rule=_rule(record, study, held, asked.most))


def _united(held: Trials, study: Study, folder: Path) -> Trials:
    trials = study.trials()
    names = _run_folders(study, trials, folder)
    known = {(arm, seed): name for arm, seed, name in held}
    # What is asked for names its folders anew: one of a former spelling may have been found since.
    known |= {
        (trial.arm, trial.recipe.seed): name for trial, name in zip(trials, names, strict=True)
    }
    return tuple((arm, seed, name) for (arm, seed), name in known.items())


def _further(record: StudyRecord, asked: Sequence[Trial]) -> list[Trial]:
    """The seeds that the folder has of the arms asked for, besides those asked for."""
    by_arm = {trial.arm: trial for trial in asked}
    known = {(trial.arm, trial.recipe.seed) for trial in asked}
    return [
        replace(by_arm[arm], recipe=by_arm[arm].recipe.replace({"seed": seed}))
        for arm, seed, _ in record.trials
        if (arm, seed) not in known and arm in by_arm
    ]


def _rule(record: StudyRecord, study: Study, held: StudyRecord | None, most: int | None) -> Rule:
    """The rule that was written before, with what is added now; else the one of today."""
    family = [arm for arm in dict.fromkeys(arm for arm, _, _ in record.trials) if arm != BASE_ARM]
    seeds = list(dict.fromkeys(seed for _, seed, _ in record.trials))
    before = held.rule if held else None
    if before is None:
        begun = any((record.folder / name / LEDGER).exists() for _, _, name in record.trials)
        return new_rule(family, seeds, study.rope, most=most, is_late=begun)
    if before.rope != study.rope:
        log.warning(
            "the study's file now says rope=%s; the rule of %s says %s, and stands.",
            study.rope,
            before.written,
            before.rope,
        )
    grown = before.extended(family, seeds)
    return grown if before.most or not most else grown.model_copy(update={"most": most})


def _run_folders(study: Study, trials: Sequence[Trial], folder: Path) -> list[str]:
    """The name of each trial's folder: of one that an earlier version trained under another
    spelling of its arm's values, that one, by which W&B knows it."""
    former = {arm.name: name for arm in study.arms if (name := former_arm_name(arm))}
    names = []
    for trial in trials:
        old = f"{former.get(trial.arm, trial.arm)}-seed{trial.recipe.seed}"
        is_there = trial.arm in former and paths.is_safe_name(old) and (folder / old).is_dir()
        names.append(old if is_there else trial.folder)
    return names


def _refuse_another(folder: Path, runs: Sequence[RunRecord], *, is_more: bool) -> None:
    """Refuse a folder whose trials were trained on something else, or are to be more unasked."""
    if (folder / RUN_FILE).exists():
        raise RefusedError(
            f"{shown(folder)} holds a run, not a study.", hint="name another folder."
        )
    changed = {path for run in runs for path in changed_from(run)}
    if is_more:
        changed |= {"its arms or seeds"}
    if changed:
        more = "; --extend adds arms and seeds" if changed == {"its arms or seeds"} else ""
        raise RefusedError(
            f"{shown(folder)} holds another study; it differs in {', '.join(sorted(changed))}.",
            hint=f"give the new study another --output-dir, or none{more}.",
        )


def _mend(run: RunRecord) -> None:
    """Write a trial's `run.json` anew where it is damaged: a trial that ended is not written
    again by who trains the rest."""
    if not (run.folder / RUN_FILE).exists():
        return
    try:
        RunRecord.read(run.folder)
    except DataError as error:
        log.warning("%s It is written anew.", error.problem)
        run.write()


def folder_of(study: Study, sets: Sequence["PreparedSet"]) -> Path:
    """Where the study lies, or would."""
    start, end = name_of(study, sets)
    return paths.runs() / f"{start}{end}"


def name_of(study: Study, sets: Sequence["PreparedSet"]) -> tuple[str, str]:
    """The name of the study's folder: what it asks, of which homes; and its marks and digest."""
    # Recipes and data, nothing else: the same question finds its folder again and goes on in it.
    trials = study.trials()
    fingerprints = sorted({prepared.fingerprint for prepared in sets})
    content = json.dumps([[trial.recipe.digest() for trial in trials], fingerprints])
    simulated = any(prepared.simulated for prepared in sets)
    marks = [mark for mark, on in (("quick", study.quick), ("simulated", simulated)) if on]
    homes = sorted({trial.recipe.data.label for trial in trials})
    end = "-".join(["", *marks, hashlib.sha256(content.encode()).hexdigest()[:8]])
    most = paths.LONGEST_NAME - len(end)
    return paths.folder_name("-".join([study.name, *homes]), most=most), end


def _fresh(folder: Path) -> Path:
    """A folder that was not there until now: the name itself, or with the first free number."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        free = folder.with_name(f"{folder.name}-{number}") if number > 1 else folder
        # Made, not looked for: two that look at once would take the same.
        with contextlib.suppress(FileExistsError):
            free.mkdir()
            return free
    raise AssertionError("numbers do not end")


def _run_of(asked: Asked, trial: Trial, folder: Path, prepared: "PreparedSet") -> RunRecord:
    study = asked.study
    return RunRecord(
        name=f"{study.name}/{trial.name}",
        folder=folder,
        recipe=trial.recipe,
        tracking=asked.tracking,
        group=study.name,
        arm=trial.arm,
        caveats=prepared.caveats,
        quick=study.quick,
        files=prepared.made_of,
    )
