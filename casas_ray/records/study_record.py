"""A study on disk: what it asks, which trials it has, and what their ledgers say."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casas_ray import paths
from casas_ray.config import Tracking
from casas_ray.errors import DataError
from casas_ray.files import own_folder, shown, write_json
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.study import Study, Trial

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

STUDY_FILE, RESULTS_FILE = "study.json", "results.json"


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
        DataError: the folder holds none.
        RefusedError: a trial of it would lie outside.
    """
    try:
        about = json.loads((folder / STUDY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{shown(folder)} holds no study.", hint="see data/runs/") from None
    return StudyRecord(
        folder,
        about["study"],
        about["question"],
        tuple(about["homes"]),
        about["quick"],
        tuple(about["caveats"]),
        tuple(
            (arm, seed, paths.safe_name(name, what="trial")) for arm, seed, name in about["trials"]
        ),
    )


def write_results(record: StudyRecord, table: Mapping[str, object]) -> None:
    """Keep a study's comparison as `results.json`, whole or not at all."""
    write_json(record.folder / RESULTS_FILE, record.about() | dict(table))


def lay_out(
    study: Study, tracking: Tracking, sets: Sequence["PreparedSet"], *, fresh: bool = False
) -> tuple[StudyRecord, list[RunRecord]]:
    """A study's record and one run record a trial, its folder made; `sets` has each trial's data.

    The same study on the same data has the same folder; `fresh` takes a new one beside it.
    """
    trials = study.trials()
    folder = _numbered(paths.runs() / _folder_name(study, trials, sets), fresh=fresh)
    record = StudyRecord(
        folder,
        study.name,
        study.question,
        tuple(sorted({trial.recipe.data.label for trial in trials})),
        study.quick,
        tuple(dict.fromkeys(caveat for prepared in sets for caveat in prepared.caveats)),
        tuple((trial.arm, trial.recipe.seed, trial.name) for trial in trials),
    )
    runs = [
        _run_of(study, trial, folder, tracking, prepared)
        for trial, prepared in zip(trials, sets, strict=True)
    ]
    own_folder(folder)
    write_json(folder / STUDY_FILE, record.about() | {"trials": record.trials})
    return record, runs


def _folder_name(study: Study, trials: Sequence[Trial], sets: Sequence["PreparedSet"]) -> str:
    # Recipes and data, nothing else: the same question finds its folder again and goes on in it.
    fingerprints = sorted({prepared.fingerprint for prepared in sets})
    content = json.dumps([[trial.recipe.digest() for trial in trials], fingerprints])
    simulated = any(prepared.simulated for prepared in sets)
    marks = [mark for mark, on in (("quick", study.quick), ("simulated", simulated)) if on]
    homes = sorted({trial.recipe.data.label for trial in trials})
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return paths.safe_name("-".join([study.name, *homes, *marks, digest]), what="study")


def _numbered(folder: Path, *, fresh: bool) -> Path:
    number, free = 2, folder
    while fresh and free.exists():
        free = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return free


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
