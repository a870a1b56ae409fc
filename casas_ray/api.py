"""The door for notebooks and scripts: what the commands do, as functions.

import casas_ray as cr; see docs/python.md.
"""

from contextlib import nullcontext
from pathlib import Path

from casas_ray.catalog import find_machine, find_study
from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare as prepare_set
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown
from casas_ray.records.own_folder import refuse_strangers
from casas_ray.records.run_record import RunRecord, run_folder
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.table import StudyTable, study_table
from casas_ray.run.gather import Steps, Watch, check, gather
from casas_ray.run.launch import run_training
from casas_ray.run.rounds import Rounds
from casas_ray.study import Study
from casas_ray.tracking.views import views_of


def quiet(text: str) -> None:
    """Say nothing; give `print` in its stead to hear of what takes long."""


def no_steps(what: str, done: int, total: int) -> None:
    """Show no progress."""


def prepare(recipe: Recipe, *, watch: Watch = quiet) -> PreparedSet:
    """The alignment set of a recipe's homes; made where there is none of these settings yet.

    Raises:
        DataError: a log is missing or cannot be used.
    """
    return prepare_set(recipe.data, logs_for(recipe.data), watch=watch)


def train(
    recipe: Recipe,
    *,
    machine: str | Machine = "laptop",
    tracking: Tracking | None = None,
    folder: Path | None = None,
    watch: Watch = quiet,
    steps: Steps = no_steps,
) -> RunResult:
    """What a run's ledger says after training a recipe, from its last checkpoint where it has one.

    It lies in `folder`, or else where `casas-ray train` would put it.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: the folder holds a run of another recipe or what is not ours, or is in use.
        AllFailed: it failed or diverged.
        ClusterError: Ray does not answer, or has no room for the run.
    """
    on, folder = _machine(machine), (folder or run_folder(recipe)).absolute()
    refuse_strangers(folder)
    data = gather(recipe, on, watch, steps)
    check(recipe, on, data.prepared)
    if RunResult.read(folder).status == "finished":
        watch(f"{shown(folder)} finished before; nothing is trained.")
    record = RunRecord(
        folder.name,
        folder,
        recipe,
        tracking or Tracking(),
        caveats=data.prepared.caveats,
    )
    return run_training(record, on, data, views_of([record]))


def tune(
    study: str | Study,
    *,
    machine: str | Machine = "laptop",
    tracking: Tracking | None = None,
    fresh: bool = False,
    extend: bool = False,
    watch: Watch = quiet,
    steps: Steps = no_steps,
) -> StudyRecord:
    """The record of a study whose every arm and seed has ended; `compare` makes its table.

    Trials that ended before are not trained again, unless it is to be `fresh`; `extend` adds arms
    and seeds to a study of the same base. One that fails or diverges raises nothing: it is a row of
    the table.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: another process is at work in its folder, or it was begun otherwise.
        ClusterError: Ray does not answer, or has no room for a trial.
    """
    asked = find_study(study) if isinstance(study, str) else study
    on = _machine(machine)
    rounds = Rounds(
        on,
        tracking or Tracking(),
        watch,
        lambda: nullcontext(steps),
        lambda runs, _: nullcontext(views_of(runs)),
    )
    return rounds.train(asked, fresh=fresh, extend=extend)


def compare(record: StudyRecord) -> StudyTable:
    """The comparison of a study's arms, as `casas-ray table` shows it."""
    return study_table(record.results(), record.rule)


def load(folder: str | Path) -> TrainedRun:
    """A trained run: its best checkpoint, model and data.

    Raises:
        DataError: the folder holds no run with a whole best checkpoint.
        RefusedError: another version of this package wrote it.
    """
    return TrainedRun.open(Path(folder))


def _machine(machine: str | Machine) -> Machine:
    return find_machine(machine) if isinstance(machine, str) else machine
