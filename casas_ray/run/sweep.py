"""All trials of a study through Ray Tune; what each trial did stands in its ledger."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

from casas_ray.config import Machine
from casas_ray.run.job import Job, Place
from casas_ray.run.shards import Supply
from casas_ray.run.trial import run_in_trainer, run_in_trial


def sweep(jobs: Sequence[Job], machine: Machine, supplies: Sequence[Supply], folder: Path) -> None:
    """Run every job; a failed or diverged one leaves its status in its ledger and the others go on.

    `supplies` has one supply a job, or a single one that all jobs share.
    """
    trainable = tune.with_parameters(
        _trial, jobs=list(jobs), supplies=list(supplies), machine=machine
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, _resources(machine)),
        param_space={"place": tune.grid_search(list(range(len(jobs))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=concurrent(machine),
            reuse_actors=True,
            trial_name_creator=lambda trial: f"trial{trial.config['place']:04d}",
            trial_dirname_creator=lambda trial: f"trial{trial.config['place']:04d}",
        ),
        run_config=tune.RunConfig(name="ray", storage_path=str(folder), verbose=0),
    )
    # Tune prints to the standard output whatever its verbosity; that is for our tables and JSON.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        tuner.fit()


def concurrent(machine: Machine) -> int:
    """Trials at a time: what the machine says, else what the cluster holds."""
    total = ray.cluster_resources()
    room = total.get("CPU", 1.0) // (machine.cpus_per_worker * machine.workers)
    if machine.gpus_per_worker:
        room = min(room, total.get("GPU", 0.0) // (machine.gpus_per_worker * machine.workers))
    return machine.concurrent_trials or max(1, int(room))


def _resources(machine: Machine) -> dict[str, float]:
    if machine.workers > 1:
        # The trial only waits for its own trainer. A CPU of its own would starve that trainer's
        # workers, and Tune refuses a trial that asks for nothing (docs/findings.md).
        return {"node:__internal_head__": 0.001}
    return {"CPU": machine.cpus_per_worker, "GPU": machine.gpus_per_worker}


def _trial(
    config: dict[str, Any], jobs: list[Job], supplies: list[Supply], machine: Machine
) -> None:
    place = config["place"]
    supply = supplies[place if len(supplies) > 1 else 0]
    if machine.workers > 1:
        run_in_trainer(jobs[place], machine, supply)
    else:
        run_in_trial(jobs[place], Place.of(machine), supply)
