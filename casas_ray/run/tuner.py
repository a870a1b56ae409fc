"""All trials of a study through Ray Tune; what each trial did stands in its ledger."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune

from casas_ray.config import Machine
from casas_ray.files import scratch_folder
from casas_ray.records.follow import Follower
from casas_ray.records.run_record import RunRecord
from casas_ray.run.bell import listener
from casas_ray.run.callbacks import LedgerLoggerCallback
from casas_ray.run.halving import halving
from casas_ray.run.room import slots
from casas_ray.run.shared_data import SharedData
from casas_ray.run.trainer import Wires, report_result, run_in_trainer, run_in_trial

RAY_FOLDER = ".ray"
"""In a study's folder: what Tune itself writes, deleted when it starts again."""


def run_trials(
    records: Sequence[RunRecord],
    machine: Machine,
    shared: Sequence[SharedData],
    folder: Path,
    wires: Wires,
    follower: Follower,
    first_look: int = 0,
) -> None:
    """Train every record; a failed or diverged one leaves its status in its ledger and the others
    go on. `shared` has one entry a record, the follower their ledgers. With a `first_look` ASHA
    stops trials from that step on. When the bell rings, all stop."""

    def record_of(trial: str, config: Mapping[str, Any]) -> RunRecord:  # Any: Tune's parameters
        return records[config["index"]]

    storage = scratch_folder(folder / RAY_FOLDER)
    own = [record.folder for record in records]
    asha = halving(first_look, folder, own) if first_look else None
    was_pruned = asha.was_pruned if asha else lambda trial_id: False
    trainable = tune.with_parameters(
        _trial_driver, records=list(records), shared=list(shared), machine=machine, wires=wires
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, _resources(machine)),
        # An index, not the record: Tune writes a trial's parameters into its name and its logs.
        param_space={"index": tune.grid_search(list(range(len(records))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=concurrent(machine),
            scheduler=asha,
            reuse_actors=True,  # torch and Ray Data are imported once a slot, not once a trial
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(storage),
            callbacks=[LedgerLoggerCallback(record_of, follower, wires.recorder, was_pruned)],
            # A trainer of its own counts the deaths of its workers itself.
            failure_config=tune.FailureConfig(
                max_failures=machine.max_failures if machine.most_workers == 1 else 0
            ),
            verbose=0,
        ),
    )
    # Ray's own words for a dead worker are forty lines each; the ledgers and we say it.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tuner.fit()


def _name(trial: Any) -> str:  # Any: Tune's own kind of trial is not public
    return f"trial{trial.config['index']:04d}"


def concurrent(machine: Machine) -> int:
    """Trials at a time: what the machine says, else what the cluster holds."""
    return machine.concurrent_trials or max(1, slots(machine) // machine.most_workers)


def _resources(machine: Machine) -> dict[str, float]:
    if machine.most_workers > 1:
        # The trial only waits for its own trainer. A CPU of its own would starve that trainer's
        # workers, and Tune refuses a trial that asks for nothing (docs/findings.md).
        return {"node:__internal_head__": 0.001}
    return {"CPU": machine.cpus_per_worker, "GPU": machine.gpus_per_worker}


def _trial_driver(
    config: dict[str, Any],  # Any: Tune's parameter space
    records: list[RunRecord],
    shared: list[SharedData],
    machine: Machine,
    wires: Wires,
) -> None:
    if listener(wires.bell)():
        return  # one of those that still waited for their turn
    index = config["index"]
    run = run_in_trainer if machine.most_workers > 1 else run_in_trial
    run(records[index], machine, shared[index], wires)
    report_result(records[index], wires, tune.report)
