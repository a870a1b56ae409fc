"""One training through Ray: in the workers of a TorchTrainer, or straight in a Tune trial."""

import functools
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from casas_ray.config import Machine
from casas_ray.errors import AllFailed
from casas_ray.files import scratch_folder, shown
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.run.shared_data import SharedData
from casas_ray.training.context import WorkerContext
from casas_ray.training.local import prepare_process, recorder_for, require_finished
from casas_ray.training.loop import train_to_the_end

RAY_FOLDER = ".ray"
"""In a run's or a study's folder: what Ray itself writes, deleted when it starts again."""


def run_in_trainer(record: RunRecord, machine: Machine, shared: SharedData) -> None:
    """Train in a TorchTrainer's workers; the loop takes itself up again after a worker died.

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
        train_loop_config={"record": record, "machine": machine, "shared": shared},
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
    except SystemExit:  # Ray's own answer to Ctrl-C; ours is to stop with 130
        raise KeyboardInterrupt from None
    except Exception as error:  # Ray has no common base for what fit raises; see docs/findings.md
        raise _failed(record, error) from error
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
        ray_context.get_world_rank(), ray_context.get_world_size(), ray.train.report
    )
    device = torch.device(str(ray.train.torch.get_device()))
    _train_on(config["record"], config["machine"], config["shared"], context, device)


def run_in_trial(record: RunRecord, machine: Machine, shared: SharedData) -> None:
    """Train in this Tune trial, which is its own only worker.

    A run that diverges says so in its ledger; any other error is there too, and flies on to Tune.
    """
    device = torch.device("cuda" if machine.gpus_per_worker else "cpu")
    _train_on(record, machine, shared, WorkerContext(report=tune.report), device)


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
