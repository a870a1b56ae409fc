"""What is on disk: every run of a folder, how it ended, its best so far and its age."""

import glob
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from casas_ray.config import OptimConfig
from casas_ray.errors import CasasError, DataError
from casas_ray.files import shown
from casas_ray.records.ledger import finite
from casas_ray.records.lock import is_locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, hint_for_run
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import read_study

log = logging.getLogger(__name__)

KILLED = "killed"
"""Of a run whose ledger has no end, and in whose folder nobody is at work."""

_USUAL_METRIC = OptimConfig().select_by


@dataclass(frozen=True)
class RunOnDisk:
    """One training, as its folder tells of it."""

    folder: Path
    arm: str
    """Empty for a run of no study."""

    seed: int
    state: str
    """As in its ledger; `killed` where that has no end and nobody is at work."""

    best: float | None
    """The metric that chose the best checkpoint, at its step; None before the first validation."""

    metric: str
    """Which one that is."""

    step: int
    steps: int
    """In all; 0 before it began."""

    age_seconds: float | None
    """Since the last row of its ledger; None where it has none."""

    def as_dict(self) -> dict[str, object]:
        """The run as JSON can hold it."""
        best = {} if self.best is None else finite({"best": self.best})
        return {**asdict(self), "folder": str(self.folder), **best}


@dataclass(frozen=True)
class OnDisk:
    """A study's folder with its trainings, or the folder of a run of no study with that one."""

    folder: Path
    study: str
    """Empty for a run of no study."""

    caveats: tuple[str, ...]
    runs: tuple[RunOnDisk, ...]


def on_disk(folder: Path) -> list[OnDisk]:
    """What lies in a folder of runs and studies, or in that of one; the latest stands last.

    A folder that is damaged is left out, with a warning.

    Raises:
        DataError: it is no folder.
    """
    if not folder.is_dir():
        raise DataError(f"{shown(folder)} is no folder.", hint=hint_for_run(folder))
    places = (
        [folder] if _is_ours(folder) else [path for path in folder.glob("*/") if _is_ours(path)]
    )
    return sorted((held for path in places if (held := _sound(path))), key=_latest)


def newest_of(folder: Path, study: str) -> OnDisk | None:
    """The newest study of this name in a folder of runs; None where there is none that can be read.

    A folder that was given to the study by hand has another name, and is not found.
    """
    files = folder.glob(f"{glob.escape(study)}-*/{STUDY_FILE}")
    newest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
    held = (_sound(path.parent) for path in newest)
    return next((each for each in held if each is not None and each.study == study), None)


def _is_ours(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (STUDY_FILE, RUN_FILE))


def _latest(held: OnDisk) -> tuple[float, str]:
    ages = [run.age_seconds for run in held.runs if run.age_seconds is not None]
    return -min(ages, default=float("inf")), held.folder.name


def _sound(folder: Path) -> OnDisk | None:
    try:
        return _study(folder) if (folder / STUDY_FILE).is_file() else _alone(folder)
    except CasasError as error:
        log.warning("%s It is left out.", error.problem)
        return None


def is_at_work(folder: Path) -> bool:
    """Whether a command is at work on a study or a run.

    Raises:
        DataError: the folder holds none.
    """
    if (folder / STUDY_FILE).is_file():
        return is_locked(folder)
    # A trial of a study is worked on under the lock of the whole.
    return is_locked(folder.parent if RunRecord.read(folder).group else folder)


def _study(folder: Path) -> OnDisk:
    study, at_work = read_study(folder), is_at_work(folder)
    runs = [_told(folder / name, arm, seed, at_work) for arm, seed, name in study.trials]
    return OnDisk(folder, study.study, study.marks, tuple(runs))


def _alone(folder: Path) -> OnDisk:
    record, at_work = RunRecord.read(folder), is_at_work(folder)
    run = _told(folder, record.arm, record.recipe.seed, at_work)
    return OnDisk(folder, record.group, record.marks, (run,))


def _told(folder: Path, arm: str, seed: int, at_work: bool) -> RunOnDisk:
    result = RunResult.read(folder)
    state = KILLED if result.status == "running" and not at_work else result.status
    metric = str(result.info.get("recipe", {}).get("optim.select_by", _USUAL_METRIC))
    age = max(0.0, time.time() - result.rows[-1]["time"]) if result.rows else None
    best, steps = result.best().get(metric), int(result.info.get("total_steps", 0))
    return RunOnDisk(folder, arm, seed, state, best, metric, result.step, steps, age)
