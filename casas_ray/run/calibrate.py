"""A few steps of each kind of training in a study, where it is to run, to know what it takes."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from casas_ray import paths
from casas_ray.config import Machine, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import AllFailed
from casas_ray.files import scratch_folder
from casas_ray.records.costs import calibrated_cost, keep_calibration, kind_of
from casas_ray.records.forecast import trials_at_a_time
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.report.provenance import seconds_of
from casas_ray.run.gather import Steps, Watch, gather_study
from casas_ray.run.launch import run_study
from casas_ray.study import Study, Trial

_STEPS, _ROWS_EVERY = 24, 6
"""Of a calibration; the first row's steps warm up."""

_SCRATCH = ".calibrating"


def calibrate(
    study: Study, machine: Machine, watch: Watch, steps: Steps, given: PreparedSet | None = None
) -> None:
    """Measure one trial of each kind for some steps, and keep what it took.

    Their data and caption vectors are made as for the study itself.

    Raises:
        SettingsError, DataError, SetupError, ClusterError: the study could not start either.
        AllFailed: none of them got through its steps.
    """
    trials = _one_of_each_kind(study, machine)
    part = replace(study.with_arms([trial.arm for trial in trials]), seeds=study.seeds[:1])
    gathered = gather_study(part, machine, watch, steps, given)
    data = {trial.arm: each for trial, each in zip(part.trials(), gathered, strict=True)}
    watch(f"calibrating {len(trials)} kinds of training, {_STEPS} steps each")
    folder = scratch_folder(paths.runs() / f"{_SCRATCH}-{study.name}")
    try:
        records = [_record(trial, folder / f"kind{at}") for at, trial in enumerate(trials)]
        began = time.monotonic()
        run_study(folder, records, machine, [data[trial.arm] for trial in trials], ())
        took = time.monotonic() - began
        results = [RunResult.read(record.folder) for record in records]
        _keep(trials, results, machine, took)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _one_of_each_kind(study: Study, machine: Machine) -> list[Trial]:
    found: dict[str, Trial] = {}
    for trial in study.trials():
        found.setdefault(kind_of(trial.recipe, machine), trial)
    return list(found.values())


def _record(trial: Trial, folder: Path) -> RunRecord:
    tracking = Tracking(
        mode="disabled",
        backend=(),
        log_every=_ROWS_EVERY,
        log_parameters=False,
        code_snapshot=False,
    )
    recipe = trial.recipe.replace({"optim.max_steps": _STEPS, "optim.patience": 0})
    return RunRecord(trial.arm, folder, recipe, tracking, arm=trial.arm)


def _keep(
    trials: Sequence[Trial], results: Sequence[RunResult], machine: Machine, took: float
) -> None:
    at_a_time, _ = trials_at_a_time(machine)
    training = sum(seconds_of(run) for run in results) / min(at_a_time, len(results))
    start = max(0.0, took - training)
    costs = [calibrated_cost(run, start_seconds=start) for run in results]
    if not any(costs):
        raise AllFailed(
            f"no training got through {_STEPS} steps: {results[0].error or results[0].status}",
            hint="`casas-ray tune` would fail in the same way.",
        )
    for trial, cost in zip(trials, costs, strict=True):
        if cost is not None:
            keep_calibration(trial.recipe, machine, cost)
