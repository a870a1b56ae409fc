"""One training through Ray: in the workers of a TorchTrainer, or straight in a Tune trial."""

import functools
import logging
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from casas_ray.config import Machine
from casas_ray.errors import AllFailed
from casas_ray.files import scratch_folder, shown
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.run.bell import listener
from casas_ray.run.shared_data import SharedData
from casas_ray.training.context import WorkerContext
from casas_ray.training.local import prepare_process, recorder_for, require_finished
from casas_ray.training.loop import train_to_the_end

RAY_FOLDER = ".ray"
"""In a run's or a study's folder: what Ray itself writes, deleted when it starts again."""

log = logging.getLogger(__name__)


def run_in_trainer(record: RunRecord, machine: Machine, shared: SharedData, bell: Any) -> None:
    """Train in a TorchTrainer's workers; the loop takes itself up again after a worker died.

    When the bell rings they stop, and this returns.

    Raises:
        AllFailed: it failed more often than the machine allows.
    """
    # Ray's own files hold no result of ours, and stale ones would make it skip the training.
    storage = scratch_folder(record.folder / RAY_FOLDER)
    resources = {"CPU": machine.cpus_per_worker}
    if machine.gpus_per_worker:
        resources["GPU"] = machine.gpus_per_worker
    trainer = TorchTrainer(
        _train_fn_per_worker,
        train_loop_config={"record": record, "machine": machine, "shared": shared, "bell": bell},
        torch_config=TorchConfig(backend="nccl" if machine.gpus_per_worker else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=machine.workers,
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
    try:
        trainer.fit()
    except Exception as error:  # Ray has no common base for what fit raises; see docs/findings.md
        raise _failed(record, error) from error
    if RunResult.read(record.folder).status != "stopped":
        require_finished(record)


def _failed(record: RunRecord, error: Exception) -> AllFailed:
    reason = RunResult.read(record.folder).error or _last_line(error)
    return AllFailed(
        f"run '{record.name}' failed: {reason}",
        hint=f"its ledger and last checkpoint are in {shown(record.folder)}; the same command goes "
        "on from there. --debug shows the worker's traceback.",
    )


def _last_line(error: Exception) -> str:
    # Where Ray's own errors say what the worker's was.
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _train_fn_per_worker(config: dict[str, Any]) -> None:  # Any: Ray Train's configuration
    ray_context = ray.train.get_context()
    context = WorkerContext(
        ray_context.get_world_rank(),
        ray_context.get_world_size(),
        ray.train.report,
        listener(config["bell"]),
    )
    device = torch.device(str(ray.train.torch.get_device()))
    _train_on(config["record"], config["machine"], config["shared"], context, device)


def run_in_trial(record: RunRecord, machine: Machine, shared: SharedData, bell: Any) -> None:
    """Train in this Tune trial, which is its own only worker.

    A run that diverges or fails says so in its ledger.

    Raises:
        RayError: Ray lost something that the trial needs, as when a node died.
    """
    device = torch.device("cuda" if machine.gpus_per_worker else "cpu")
    context = WorkerContext(report=tune.report, is_asked_to_stop=listener(bell))
    try:
        _train_on(record, machine, shared, context, device)
    except RayError:
        raise
    except Exception:  # the ledger holds it: Tune begins again only what lost its process
        log.info("trial %s failed", record.name, exc_info=True)


def _train_on(
    record: RunRecord,
    machine: Machine,
    shared: SharedData,
    context: WorkerContext,
    device: torch.device,
) -> None:
    # Before the first tensors, so that what they free is kept for the next.
    prepare_process(machine)
    rank, world_size = context.rank, context.world_size
    open_loader = functools.partial(shared.loader, record.recipe, rank, world_size, device)
    train_to_the_end(recorder_for(record, machine, context), record.recipe, open_loader)
