"""A study on disk: what it asks, which trials it has, and what their ledgers say."""

import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from casas_ray import paths
from casas_ray.config import Tracking
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import shown
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, hint_for_run, own
from casas_ray.records.run_record import RunRecord, changed_from, with_quick
from casas_ray.records.run_result import RunResult
from casas_ray.sealed import fitted, read_sealed, write_sealed
from casas_ray.study import Study, Trial, former_arm_name

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

RESULTS_FILE = "results.json"

log = logging.getLogger(__name__)


def _whole(trials: tuple[tuple[str, int, str], ...]) -> tuple[tuple[str, int, str], ...]:
    """Trials of which every arm has every seed once, and each a folder."""
    arms, seeds = ({trial[part] for trial in trials} for part in (0, 1))
    cells = {trial[:2] for trial in trials}
    folders = {trial[2] for trial in trials}
    if not len(trials) == len(arms) * len(seeds) == len(cells) == len(folders):
        raise ValueError("some arm lacks a seed, or has one twice")
    return trials


class _About(BaseModel):
    """What `study.json` holds."""

    study: str
    question: str
    homes: tuple[str, ...]
    quick: bool
    caveats: tuple[str, ...]
    trials: Annotated[tuple[tuple[str, int, str], ...], Field(min_length=1), AfterValidator(_whole)]
    sets: tuple[dict[str, Any], ...] = ()  # Any: what JSON holds; studies of before have none


@dataclass(frozen=True)
class StudyRecord:
    """What `study.json` holds, and the folder it lies in."""

    folder: Path
    study: str
    question: str
    homes: tuple[str, ...]
    quick: bool
    caveats: tuple[str, ...]
    trials: tuple[tuple[str, int, str], ...]
    """Arm, seed and the name of the run's folder."""

    sets: tuple[Mapping[str, Any], ...] = ()  # Any: what JSON holds
    """What each of its sets was made of, by hash."""

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
    )


def write_results(record: StudyRecord, table: Mapping[str, object]) -> None:
    """Keep a study's comparison as `results.json`, whole or not at all."""
    write_sealed(record.folder / RESULTS_FILE, record.about() | dict(table))


def lay_out(
    study: Study,
    tracking: Tracking,
    sets: Sequence["PreparedSet"],
    *,
    folder: Path | None = None,
    fresh: bool = False,
) -> tuple[StudyRecord, list[RunRecord]]:
    """A study's record and one run record a trial, its folder made; `sets` has each trial's data.

    Without a `folder` of its own, the same study on the same data has the same one; `fresh` takes
    a new one beside it.

    Raises:
        RefusedError: another process is at work in its folder, or it holds another study.
    """
    trials = study.trials()
    named, folder = folder, folder or paths.runs() / _folder_name(study, trials, sets)
    folder = _fresh(folder) if fresh else folder
    names = _run_folders(study, trials, folder)
    record = StudyRecord(
        folder,
        study.name,
        study.question,
        tuple(sorted({trial.recipe.data.label for trial in trials})),
        study.quick,
        tuple(dict.fromkeys(caveat for prepared in sets for caveat in prepared.caveats)),
        tuple(
            (trial.arm, trial.recipe.seed, name) for trial, name in zip(trials, names, strict=True)
        ),
        tuple({prepared.fingerprint: prepared.about for prepared in sets}.values()),
    )
    runs = [
        _run_of(study, trial, folder / name, tracking, prepared)
        for trial, name, prepared in zip(trials, names, sets, strict=True)
    ]
    own(folder)
    # Locked: who is at work there has written the same, and reads it.
    with locked(folder):
        if named:
            _refuse_another(record, runs)
        write_sealed(folder / STUDY_FILE, record.about() | {"trials": record.trials})
        for run in runs:
            _mend(run)
    return record, runs


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


def _refuse_another(record: StudyRecord, runs: Sequence[RunRecord]) -> None:
    """Refuse a folder whose trials were trained on something else, or are other trials."""
    if (record.folder / RUN_FILE).exists():
        raise RefusedError(
            f"{shown(record.folder)} holds a run, not a study.", hint="name another folder."
        )
    try:
        held = read_study(record.folder)
    except DataError:  # there is none yet, or it is damaged, and its trials tell
        held = record
    changed = {path for run in runs for path in changed_from(run)}
    if held.trials != record.trials:
        changed |= {"its arms or seeds"}
    if changed:
        raise RefusedError(
            f"{shown(record.folder)} holds another study; it differs in "
            f"{', '.join(sorted(changed))}.",
            hint="give the new study another --output-dir, or none.",
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


def _folder_name(study: Study, trials: Sequence[Trial], sets: Sequence["PreparedSet"]) -> str:
    # Recipes and data, nothing else: the same question finds its folder again and goes on in it.
    fingerprints = sorted({prepared.fingerprint for prepared in sets})
    content = json.dumps([[trial.recipe.digest() for trial in trials], fingerprints])
    simulated = any(prepared.simulated for prepared in sets)
    marks = [mark for mark, on in (("quick", study.quick), ("simulated", simulated)) if on]
    homes = sorted({trial.recipe.data.label for trial in trials})
    end = "-".join(["", *marks, hashlib.sha256(content.encode()).hexdigest()[:8]])
    most = paths.LONGEST_NAME - len(end)
    return paths.folder_name("-".join([study.name, *homes]), most=most) + end


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
        folder=folder,
        recipe=trial.recipe,
        tracking=tracking,
        group=study.name,
        arm=trial.arm,
        caveats=prepared.caveats,
        quick=study.quick,
        files=prepared.made_of,
    )
