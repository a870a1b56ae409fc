"""Which trials of a study would run again, and what was changed that what was trained does not
stand for them."""

import glob
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casas_ray import paths
from casas_ray.config.base import flat
from casas_ray.errors import DataError
from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.provenance import UNKNOWN, Code
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import SETTLED, RunResult
from casas_ray.records.study_record import StudyRecord, read_study
from casas_ray.study import Study, Trial

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Again:
    """One trial: whether it would run, and why."""

    trial: str
    runs: bool
    reasons: Sequence[str]
    """What was changed since, or how far it came; of one that stands, what is told of it."""

    def as_dict(self) -> dict[str, object]:
        """The trial as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class Stale:
    """All trials of a study beside the folder that has most of them."""

    folder: Path | None
    """None where nothing of the study was trained."""

    trials: Sequence[Again]

    @property
    def to_run(self) -> Sequence[Again]:
        """Those that would run."""
        return [each for each in self.trials if each.runs]


def what_runs_again(
    study: Study,
    sets: Mapping[str, "PreparedSet"],
    code: Code,
    folders: Sequence[Path] | None = None,
) -> Stale:
    """Each trial of the study beside what was trained under its name; `sets` has the set of each
    arm.

    A trial that ended stands, whatever code trained it. Without `folders` those of the study's name
    are looked at.
    """
    found = [
        (folder, [_again(trial, record, sets[trial.arm], code) for trial in study.trials()])
        for folder in (_folders_of(study.name) if folders is None else folders)
        if (record := _readable(folder)) is not None
    ]
    if not found:
        never = [Again(trial.name, True, ("never trained",)) for trial in study.trials()]
        return Stale(None, never)
    # The newest stands first, and wins where several have as many.
    folder, trials = min(found, key=lambda each: sum(again.runs for again in each[1]))
    return Stale(folder, trials)


def _folders_of(name: str) -> list[Path]:
    files = paths.runs().glob(f"{glob.escape(name)}-*/{STUDY_FILE}")
    newest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in newest]


def _readable(folder: Path) -> StudyRecord | None:
    try:
        return read_study(folder)
    except DataError as error:
        log.warning("%s It is left out.", error.problem)
        return None


def _again(trial: Trial, held: StudyRecord, prepared: "PreparedSet", code: Code) -> Again:
    names = {(arm, seed): name for arm, seed, name in held.trials}
    name = names.get((trial.arm, trial.recipe.seed))
    run = RunResult.read(held.folder / (name or trial.folder))
    if name is None or not run.rows:
        return Again(trial.name, True, ("never trained",))
    changed = [*_settings_changed(trial, run), *_data_changed(run, prepared)]
    of_code = _code_changed(run, code)
    if changed:
        return Again(trial.name, True, [*changed, *of_code])
    if run.status in SETTLED:
        return Again(trial.name, False, [run.status, *of_code])
    return Again(trial.name, True, [f"{run.status} at step {run.step}", *of_code])


def _settings_changed(trial: Trial, run: RunResult) -> list[str]:
    try:
        before = flat(RunRecord.read(run.folder).recipe)
    except DataError:  # its ledger says it too
        before = dict(run.info.get("recipe", {}))
    after = flat(trial.recipe)
    paths_of = dict.fromkeys([*before, *after])
    return [
        f"{path} was {before.get(path)}, is {after.get(path)}"
        for path in paths_of
        if before.get(path) != after.get(path)
    ]


def _data_changed(run: RunResult, prepared: "PreparedSet") -> list[str]:
    seen = str(run.info.get("fingerprint", ""))
    if not seen or seen == prepared.fingerprint:
        return []
    return [f"data was {seen[:12]}, is {prepared.fingerprint[:12]}"]


def _code_changed(run: RunResult, code: Code) -> list[str]:
    """The commit, and the changes to it, where they are another's."""
    seen = {name: run.info.get(name) for name in ("git_commit", "git_changes")}
    now = {name: code[name] for name in seen}
    if not run.info or UNKNOWN in (*seen.values(), *now.values()) or seen == now:
        return []
    before, after = _called(seen), _called(now)
    return [f"code was {before}, is {after}"]


def _called(code: Mapping[str, object]) -> str:
    changes = str(code["git_changes"] or "")
    return str(code["git_commit"])[:12] + (f" with changes {changes}" if changes else "")
