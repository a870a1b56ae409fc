"""One training through Ray: in the workers of a TorchTrainer, or straight in a Tune trial."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from casas_ray.config import Machine
from casas_ray.records.run_record import RunRecord
from casas_ray.run.bell import Bell, listener
from casas_ray.run.recorder import TurnLost, start_recorder
from casas_ray.run.remote_store import RemoteStore
from casas_ray.run.roll import on_roll, start_roll
from casas_ray.run.scratch import scratch
from casas_ray.run.shared_data import SharedData
from casas_ray.training.context import WorkerContext
from casas_ray.training.local import prepare_process, recorder_for
from casas_ray.training.loop import train_to_the_end

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wires:
    """What ties a worker on any node to the driver; it can be sent anywhere."""

    bell: Any  # Any: Ray's handle of an actor has no type of its own
    recorder: Any  # Any: as above
    roll: Any  # Any: as above


def wired(bell: Bell, machine: Machine, folder: Path) -> Wires:
    """The wires of runs in or below a folder of the driver's disk.

    Raises:
        ClusterError: Ray's processes beside us cannot write there.
    """
    recorder = start_recorder(folder)
    return Wires(bell.end, recorder, start_roll(machine, recorder))


class NodeLeaves(Exception):
    """The node of a worker is to go; its training left a checkpoint, and goes on elsewhere."""


def run_in_trainer(record: RunRecord, machine: Machine, shared: SharedData, wires: Wires) -> None:
    """Train in a TorchTrainer's workers; the loop takes itself up again after a worker died.

    When the bell rings they stop, and this returns.

    Raises:
        Exception: it failed more often than the machine allows; Ray's errors have no common base.
    """
    resources = {"CPU": machine.cpus_per_worker}
    if machine.gpus_per_worker:
        resources["GPU"] = machine.gpus_per_worker
    # Ray's own files hold no result of ours, and stale ones would make it skip the training.
    with scratch() as storage:
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={
                "record": record,
                "machine": machine,
                "shared": shared,
                "wires": wires,
            },
            torch_config=TorchConfig(backend="nccl" if machine.gpus_per_worker else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=(machine.fewest_workers, machine.most_workers)
                if machine.is_elastic
                else machine.most_workers,
                use_gpu=machine.gpus_per_worker > 0,
                resources_per_worker=resources,
            ),
            run_config=RunConfig(
                name="ray",
                storage_path=str(storage),
                failure_config=FailureConfig(max_failures=machine.max_failures),
                logging_config=LoggingConfig(log_level="WARNING"),
            ),
        )
        trainer.fit()


def train_worker(config: dict[str, Any]) -> None:  # Any: Ray Train's configuration
    """What each worker of a TorchTrainer does: its part of the training that `config` names."""
    ray_context = ray.train.get_context()
    context = WorkerContext(
        ray_context.get_world_rank(),
        ray_context.get_world_size(),
        ray.train.report,
        listener(config["wires"].bell),
    )
    device = torch.device(str(ray.train.torch.get_device()))
    _train_on(
        config["record"], config["machine"], config["shared"], context, device, config["wires"]
    )


def run_in_trial(record: RunRecord, machine: Machine, shared: SharedData, wires: Wires) -> None:
    """Train in this Tune trial, which is its own only worker.

    A run that diverges or fails says so in its ledger.

    Raises:
        RayError, TurnLost: Ray lost something that the trial needs, as when a node died.
        NodeLeaves: this node is to go.
    """
    device = torch.device("cuda" if machine.gpus_per_worker else "cpu")
    context = WorkerContext(report=tune.report, is_asked_to_stop=listener(wires.bell))
    try:
        _train_on(record, machine, shared, context, device, wires)
    except (RayError, TurnLost, NodeLeaves):
        raise
    except Exception:  # the ledger holds it: Tune begins again only what lost its process
        log.info("trial %s failed", record.name, exc_info=True)


def report_result(
    record: RunRecord,
    wires: Wires,
    report: Callable[[dict[str, Any]], None],  # Any: a number or a text
) -> None:
    """Report how a run ended, and what the table shows of it.

    Ray shows what was reported last.
    """
    report(ray.get(wires.recorder.result.remote(record.folder)))


def _train_on(
    record: RunRecord,
    machine: Machine,
    shared: SharedData,
    context: WorkerContext,
    device: torch.device,
    wires: Wires,
) -> None:
    # Before the first tensors, so that what they free is kept for the next.
    prepare_process(machine)
    rank, world_size = context.rank, context.world_size
    open_loader = functools.partial(shared.loader, record.recipe, rank, world_size, device)
    store = RemoteStore(wires.recorder, record.folder, writes=rank == 0)
    with on_roll(wires.roll, record.folder, rank, world_size) as presence:
        asked = presence.stepping(context.is_asked_to_stop)
        recorder = recorder_for(record, machine, replace(context, is_asked_to_stop=asked), store)
        train_to_the_end(recorder, record.recipe, open_loader)
    # One rank says it: it alone knows that its rows stand.
    if rank == 0 and _was_moved(record, wires):
        raise NodeLeaves(f"the node of a worker of {record.name} is to go")


def _was_moved(record: RunRecord, wires: Wires) -> bool:
    """Whether the training stopped because a node is to go, not because it was asked to."""
    result: Any = ray.get(wires.recorder.result.remote(record.folder))
    return result["status"] == "stopped" and not ray.get(wires.bell.has_rung.remote())
