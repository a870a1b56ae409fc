"""A study on disk: what it asks, which trials it has, and what their ledgers say."""

import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from casas_ray import paths
from casas_ray.config import Tracking
from casas_ray.errors import DataError
from casas_ray.files import shown
from casas_ray.records.ledger import LEDGER
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, own
from casas_ray.records.rule import Rule, new_rule
from casas_ray.records.run_record import RunRecord, with_quick
from casas_ray.records.run_result import RunResult
from casas_ray.sealed import fitted, read_sealed, write_sealed
from casas_ray.study import BASE_ARM, Study, Trial

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

RESULTS_FILE = "results.json"

Trials = tuple[tuple[str, int, str], ...]
"""Arm, seed and the name of the run's folder."""

log = logging.getLogger(__name__)


def _whole(trials: Trials) -> Trials:
    """Trials of which each is there once, in a folder of its own, and the base has every seed."""
    cells = {trial[:2] for trial in trials}
    folders = {trial[2] for trial in trials}
    base = {seed for arm, seed, _ in trials if arm == BASE_ARM}
    if not len(trials) == len(cells) == len(folders) or {seed for _, seed in cells} != base:
        raise ValueError("the base lacks a seed, or a trial is there twice")
    return trials


class _About(BaseModel):
    """What `study.json` holds."""

    study: str
    question: str
    homes: tuple[str, ...]
    quick: bool
    caveats: tuple[str, ...]
    trials: Annotated[Trials, Field(min_length=1), AfterValidator(_whole)]
    rule: Rule | None = None
    changes: dict[str, Any] = {}  # Any: what JSON holds


@dataclass(frozen=True)
class StudyRecord:
    """What `study.json` holds, and the folder it lies in."""

    folder: Path
    study: str
    question: str
    homes: tuple[str, ...]
    quick: bool
    caveats: tuple[str, ...]
    trials: Trials
    rule: Rule | None = None
    """By which it decides; None for studies from before there were rules."""

    changes: Mapping[str, object] = field(default_factory=dict)
    """Settings that were typed, by path; the base of the study's file had others."""

    @property
    def marks(self) -> tuple[str, ...]:
        """The one list of caveats that every view of the study shows: of its data, and quick."""
        return with_quick(self.caveats, quick=self.quick)

    def about(self) -> dict[str, object]:
        """What every view of the study says of it, as JSON can hold it."""
        return {
            "study": self.study,
            "question": self.question,
            "homes": list(self.homes),
            "caveats": list(self.caveats),
            "quick": self.quick,
        }

    def results(self) -> dict[tuple[str, int], RunResult]:
        """What the ledgers say, by arm and seed, arm by arm."""
        arms = list(dict.fromkeys(arm for arm, _, _ in self.trials))
        trials = sorted(self.trials, key=lambda trial: arms.index(trial[0]))
        return {(arm, seed): RunResult.read(self.folder / name) for arm, seed, name in trials}


def read_study(folder: Path) -> StudyRecord:
    """The study that lies in a folder.

    Raises:
        DataError: the folder holds none, or `study.json` is damaged.
    """
    path = folder / STUDY_FILE
    if not path.exists():
        raise DataError(f"{shown(folder)} holds no study.", hint="see data/runs/")
    hint = "the same `casas-ray tune` again writes it anew; trials that ended stand."
    about = fitted(_About, read_sealed(path, hint=hint), path, hint=hint)
    for _, _, name in about.trials:
        paths.safe_name(name, what="trial")  # it is a folder's, and must not lead out of this one
    return StudyRecord(
        folder,
        about.study,
        about.question,
        about.homes,
        about.quick,
        about.caveats,
        about.trials,
        about.rule,
        about.changes,
    )


def write_results(record: StudyRecord, table: Mapping[str, object]) -> None:
    """Keep a study's comparison as `results.json`, whole or not at all."""
    write_sealed(record.folder / RESULTS_FILE, record.about() | dict(table))


def lay_out(
    study: Study,
    tracking: Tracking,
    sets: Sequence["PreparedSet"],
    *,
    fresh: bool = False,
    into: Path | None = None,
    most: int | None = None,
) -> tuple[StudyRecord, list[RunRecord]]:
    """A study's record and one run record a trial, its folder made; `sets` has each trial's data.

    The same study on the same data has the same folder; `fresh` takes a new one beside it, and
    `into` is one that it is added to. Seeds that the folder has besides those asked for have run
    records too. Before the first trial the rule is written, with `most`.

    Raises:
        RefusedError: another process is at work in its folder.
    """
    trials = study.trials()
    folder = into or folder_of(study, sets)
    folder = _fresh(folder) if fresh else folder
    own(folder)
    # Locked: who is at work there has written the same, and reads it.
    with locked(folder):
        record = _grown(study, folder, sets, most)
        rule = record.rule.model_dump(mode="json") if record.rule else None
        about = record.about() | {"trials": record.trials, "rule": rule, "changes": record.changes}
        write_sealed(folder / STUDY_FILE, about)
        by_arm = {trial.arm: prepared for trial, prepared in zip(trials, sets, strict=True)}
        asked = [*trials, *_further(record, trials)]
        runs = [_run_of(study, trial, folder, tracking, by_arm[trial.arm]) for trial in asked]
        for run in runs:
            _mend(run)
    return record, runs


def _grown(
    study: Study, folder: Path, sets: Sequence["PreparedSet"], most: int | None
) -> StudyRecord:
    """What the folder holds of the study already, with what is asked for now."""
    trials, held = study.trials(), _readable(folder)
    homes = {trial.recipe.data.label for trial in trials}
    caveats = [caveat for prepared in sets for caveat in prepared.caveats]
    record = StudyRecord(
        folder,
        study.name,
        study.question,
        tuple(sorted(homes.union(held.homes if held else ()))),
        study.quick,
        tuple(dict.fromkeys([*(held.caveats if held else ()), *caveats])),
        _united(held.trials if held else (), trials),
        changes=study.changes,
    )
    return replace(record, rule=_rule(record, study, held, most))


def _readable(folder: Path) -> StudyRecord | None:
    try:
        return read_study(folder) if (folder / STUDY_FILE).exists() else None
    except DataError as error:
        log.warning("%s It is written anew.", error.problem)
        return None


def _united(held: Trials, asked: Sequence[Trial]) -> Trials:
    new = ((trial.arm, trial.recipe.seed, trial.name) for trial in asked)
    return tuple(dict.fromkeys((*held, *new)))


def _further(record: StudyRecord, asked: Sequence[Trial]) -> list[Trial]:
    """The seeds that the folder has of the arms asked for, besides those asked for."""
    by_arm = {trial.arm: trial for trial in asked}
    names = {trial.name for trial in asked}
    return [
        replace(by_arm[arm], recipe=by_arm[arm].recipe.replace({"seed": seed}))
        for arm, seed, name in record.trials
        if name not in names and arm in by_arm
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
    # Recipes and data, nothing else: the same question finds its folder again and goes on in it.
    fingerprints = sorted({prepared.fingerprint for prepared in sets})
    content = json.dumps([[trial.recipe.digest() for trial in study.trials()], fingerprints])
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return paths.runs() / paths.safe_name(f"{name_of(study, sets)}-{digest}", what="study")


def name_of(study: Study, sets: Sequence["PreparedSet"]) -> str:
    """The name of the study's folder without its digest."""
    simulated = any(prepared.simulated for prepared in sets)
    marks = [mark for mark, on in (("quick", study.quick), ("simulated", simulated)) if on]
    homes = sorted({trial.recipe.data.label for trial in study.trials()})
    return "-".join([study.name, *homes, *marks])


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


def _run_of(
    study: Study, trial: Trial, folder: Path, tracking: Tracking, prepared: "PreparedSet"
) -> RunRecord:
    return RunRecord(
        name=f"{study.name}/{trial.name}",
        folder=folder / paths.safe_name(trial.name, what="trial"),
        recipe=trial.recipe,
        tracking=tracking,
        group=study.name,
        arm=trial.arm,
        caveats=prepared.caveats,
        quick=study.quick,
    )
