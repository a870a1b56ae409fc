"""The door for notebooks and scripts: what the commands do, as functions.

import casas_ray as cr; see docs/python.md.
"""

from contextlib import nullcontext
from pathlib import Path

from casas_ray.catalog import find_machine, find_study
from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.reading import JsonFiles
from casas_ray.corpus.exchange.reading import prepare_json as prepare_json_files
from casas_ray.corpus.named_sets import find_set, set_for, set_named, settings_of
from casas_ray.evals.exported import ExportedModel
from casas_ray.evals.opened import load as open_model
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown
from casas_ray.records.own_folder import refuse_strangers
from casas_ray.records.run_record import RunRecord, run_folder
from casas_ray.records.run_result import RunResult
from casas_ray.records.storage_mirror import bring, copy_here
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.table import StudyTable, study_table
from casas_ray.run.gather import Steps, Watch, gather
from casas_ray.run.launch import run_training
from casas_ray.run.rounds import Rounds
from casas_ray.study import Study, usual_tracking
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
    return set_for(recipe.data, watch=watch)


def prepare_json(*, train: Path, vocab: Path, val: Path, test: Path | None = None) -> PreparedSet:
    """The alignment set of files of alignment JSON; made when there is none of them yet.

    Raises:
        DataError: a file is missing, torn, or holds something else.
    """
    windows = {"train": train, "val": val} | ({"test": test} if test else {})
    return prepare_json_files(JsonFiles(windows, vocab))


def train(
    recipe: Recipe,
    *,
    data: PreparedSet | None = None,
    machine: str | Machine = "laptop",
    tracking: Tracking | None = None,
    folder: Path | None = None,
    watch: Watch = quiet,
    steps: Steps = no_steps,
) -> RunResult:
    """What a run's ledger says after training a recipe, from its last checkpoint where it has one.

    It lies in `folder`, or else where `casas-ray train` would put it. `data` is a set that is
    prepared already, in place of the homes that the recipe names.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: the folder holds a run of another recipe or what is not ours, or is in use.
        AllFailed: it failed or diverged.
        ClusterError: Ray does not answer, or has no room for the run.
    """
    on, given = _machine(machine), data or _named(recipe)
    recipe = recipe.with_data(settings_of(given)) if given else recipe
    usual = run_folder(recipe, simulated=given is not None and given.simulated)
    folder = (folder or usual).absolute()
    refuse_strangers(folder)
    bring(on, folder)
    gathered = gather(recipe, on, watch, steps, given)
    if RunResult.read(folder).status == "finished":
        watch(f"{shown(folder)} finished before; nothing is trained.")
    record = RunRecord(
        folder.name,
        folder,
        recipe,
        tracking or Tracking(),
        caveats=gathered.prepared.caveats,
        files=gathered.prepared.made_of,
    )
    return run_training(record, on, gathered, views_of([record]))


def tune(
    study: str | Study,
    *,
    data: PreparedSet | None = None,
    folder: Path | None = None,
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
    the table. `data` and `folder` are as for `train`.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: another process is at work in its folder, or it holds another study.
        ClusterError: Ray does not answer, or has no room for a trial.
    """
    asked = find_study(study) if isinstance(study, str) else study
    given = data or _named(asked.base)
    rounds = Rounds(
        _machine(machine),
        tracking or usual_tracking(quick=asked.quick),
        watch,
        lambda: nullcontext(steps),
        lambda runs, _: nullcontext(views_of(runs)),
        given,
        folder.absolute() if folder else None,
    )
    asked = asked.on_set(settings_of(given)) if given else asked
    return rounds.train(asked, fresh=fresh, extend=extend)


def compare(record: StudyRecord) -> StudyTable:
    """The comparison of a study's arms, as `casas-ray table` shows it."""
    return study_table(record.results(), record.rule)


def load(folder: str | Path) -> TrainedRun | ExportedModel:
    """A trained run: its best checkpoint, model and data; of an address in a storage, a copy. Of
    what `casas-ray export` wrote, the model with its home, which needs nothing else.

    Raises:
        SettingsError, SetupError: as for `copy_here`, of an address.
        DataError: the folder holds no run with a whole best checkpoint, and no whole export.
        RefusedError: another version of this package wrote it.
    """
    if isinstance(folder, str) and "://" in folder:
        folder = copy_here(folder, checkpoints="best")
    return open_model(Path(folder))


def _named(recipe: Recipe) -> PreparedSet | None:
    name = set_named(recipe.data.homes)
    return find_set(name) if name else None


def _machine(machine: str | Machine) -> Machine:
    return find_machine(machine) if isinstance(machine, str) else machine
