"""A study on disk: what it asks, its trials, how it decides, and what the ledgers say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from casas_ray import paths
from casas_ray.errors import DataError
from casas_ray.files import shown
from casas_ray.records.own_folder import STUDY_FILE, hint_for_run
from casas_ray.records.rule import Rule
from casas_ray.records.run_record import with_quick
from casas_ray.records.run_result import RunResult
from casas_ray.sealed import fitted, read_sealed, write_sealed
from casas_ray.study import BASE_ARM

RESULTS_FILE = "results.json"

Trials = tuple[tuple[str, int, str], ...]
"""Arm, seed and the name of the run's folder."""


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
    sets: tuple[dict[str, Any], ...] = ()  # Any: what JSON holds; studies of before have none
    rule: Rule | None = None
    changes: dict[str, Any] = {}  # Any: as above


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

    sets: tuple[Mapping[str, Any], ...] = ()  # Any: what JSON holds
    """What each of its sets was made of, by hash."""

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
            "sets": list(self.sets),
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
        raise DataError(f"{shown(folder)} holds no study.", hint=hint_for_run(folder))
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
        about.sets,
        about.rule,
        about.changes,
    )


def write_results(record: StudyRecord, table: Mapping[str, object]) -> None:
    """Keep a study's comparison as `results.json`, whole or not at all."""
    write_sealed(record.folder / RESULTS_FILE, record.about() | dict(table))


def write_study(record: StudyRecord) -> None:
    """Keep what the record holds as `study.json`, whole or not at all."""
    rule = record.rule.model_dump(mode="json") if record.rule else None
    more = {"trials": record.trials, "rule": rule, "changes": record.changes}
    write_sealed(record.folder / STUDY_FILE, record.about() | more)
