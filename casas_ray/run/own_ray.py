"""Trainings of ours within a `Tuner` or a `TorchTrainer` that somebody else builds."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray import tune

from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.follow import Follower
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import own
from casas_ray.records.provenance import code_state
from casas_ray.records.run_record import RunRecord, claim
from casas_ray.run.bell import Bell
from casas_ray.run.callbacks import LedgerLoggerCallback, LedgerUserCallback
from casas_ray.run.gather import gather
from casas_ray.run.shared_data import SharedData
from casas_ray.run.trainer import Wires, report_result, run_in_trial, train_worker, wired
from casas_ray.study import named_by
from casas_ray.tracking.views import views_as

Parameters = Mapping[str, Any]  # Any: values of settings, by path


@dataclass(frozen=True)
class Searched:
    """What a trial of a search trains; small, and sent to any node."""

    base: RunRecord
    """The run of the base's recipe; its folder is that of the search."""

    machine: Machine
    shared: SharedData
    wires: Wires

    def record(self, trial: str, parameters: Parameters) -> RunRecord:
        """The run of a trial of Tune: the base with these settings, in a folder named as the
        trial.

        Raises:
            SettingsError: they are no settings, or of data or texts, which all trials share.
        """
        base = self.base.recipe
        recipe = base.replace(parameters)
        if (recipe.data, recipe.text) != (base.data, base.text):
            raise SettingsError(
                f"{', '.join(parameters)} change the data or the text model.",
                hint="trials of one search share both; search over them one by one.",
            )
        return replace(
            self.base,
            name=f"{self.base.group}/{trial}",
            folder=self.base.folder / trial,
            recipe=recipe,
            arm=named_by(parameters),
        )


@dataclass(frozen=True)
class OwnSearch:
    """What goes into a `Tuner`: what it trains, and what mirrors its trials."""

    trainable: Any  # Any: Tune's kinds of trainables have no common type
    logger: LedgerLoggerCallback


@contextlib.contextmanager
def own_search(
    base: Recipe,
    folder: Path,
    *,
    machine: Machine | None = None,
    tracking: Tracking | None = None,
    data: PreparedSet | None = None,
) -> Iterator[OwnSearch]:
    """Trials of a search of your own over settings of a base, one run each in `folder`.

    Ray must be initialized. The parameters of the `Tuner` are paths of settings; each trial
    reports `step` and its validation metrics, and at its end `status` and those of its best step.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: another process is at work in the folder, or it is not ours.
    """
    folder, machine = folder.absolute(), machine or Machine()
    gathered = _gathered(base, machine, data)
    record = _record(base, folder, folder, tracking, gathered)
    with _wired(folder, machine) as wires:
        searched = Searched(record, machine, SharedData.whole(gathered), wires)
        records: list[RunRecord] = []
        with Follower([], views_as(record.tracking, records)) as follower:

            def record_of(trial: str, parameters: Parameters) -> RunRecord:
                found = searched.record(trial, parameters)
                if all(known.folder != found.folder for known in records):
                    records.append(found)  # first, for the follower's thread looks it up
                    follower.add(found.folder)
                return found

            trainable = tune.with_parameters(_search_trial, searched=searched)
            resources = {"CPU": machine.cpus_per_worker, "GPU": machine.gpus_per_worker}
            yield OwnSearch(
                tune.with_resources(trainable, resources),
                LedgerLoggerCallback(record_of, follower, wires.recorder),
            )


def _search_trial(config: dict[str, Any], searched: Searched) -> None:  # Any: as above
    record = searched.record(tune.get_context().get_trial_id(), config)
    ray.get(searched.wires.recorder.admit.remote(record))
    run_in_trial(record, searched.machine, searched.shared, searched.wires)
    report_result(record, searched.wires, tune.report)


@dataclass(frozen=True)
class OwnTraining:
    """What goes into a `TorchTrainer`: the loop of its workers, and what mirrors the run."""

    loop: Any  # Any: Train takes any callable
    callback: LedgerUserCallback


@contextlib.contextmanager
def own_training(
    recipe: Recipe,
    folder: Path,
    *,
    machine: Machine,
    tracking: Tracking | None = None,
    data: PreparedSet | None = None,
) -> Iterator[OwnTraining]:
    """One training for a `TorchTrainer` of your own with `machine.workers` workers.

    Ray must be initialized. What stands in the folder is gone on with.

    Raises:
        SettingsError, DataError, SetupError: it cannot start.
        RefusedError: another process is at work in the folder, or it holds another run.
    """
    folder = folder.absolute()
    gathered = _gathered(recipe, machine, data)
    record = _record(recipe, folder, folder.parent, tracking, gathered)
    with _wired(folder, machine) as wires:
        claim(record)
        shared = SharedData.of_trainer(gathered, recipe, machine)
        config = {"record": record, "machine": machine, "shared": shared, "wires": wires}
        yield OwnTraining(partial(_worker, config), LedgerUserCallback(record))


def _worker(config: dict[str, Any]) -> None:  # Any: as train_worker has it
    train_worker(config)
    # A barrier: every rank. The controller hears the end before it can be over.
    report_result(config["record"], config["wires"], ray.train.report)


def _gathered(recipe: Recipe, machine: Machine, data: PreparedSet | None) -> TrainingData:
    return gather(recipe, machine, lambda text: None, lambda what, done, total: None, data)


def _record(
    recipe: Recipe, folder: Path, named: Path, tracking: Tracking | None, gathered: TrainingData
) -> RunRecord:
    return RunRecord(
        folder.name,
        folder,
        recipe,
        tracking or Tracking(),
        group=named.name if named == folder else "",
        caveats=gathered.prepared.caveats,
        code=code_state(),
        files=gathered.prepared.made_of,
    )


@contextlib.contextmanager
def _wired(folder: Path, machine: Machine) -> Iterator[Wires]:
    own(folder)
    with locked(folder):
        bell = Bell()
        bell.hang()
        yield wired(bell, machine, folder)
