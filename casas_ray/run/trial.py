"""One training through Ray: in the workers of a TorchTrainer, or straight in a Tune trial."""

import functools
import shutil
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from casas_ray.config import Machine
from casas_ray.errors import AllFailed
from casas_ray.model import memory
from casas_ray.places import shown
from casas_ray.results import RunResult
from casas_ray.run.here import require_finished, seat_for
from casas_ray.run.job import Job, Place
from casas_ray.run.loop import train_to_the_end
from casas_ray.run.seats import Seat
from casas_ray.run.shards import Supply


def run_in_trainer(job: Job, machine: Machine, supply: Supply) -> None:
    """Train in a TorchTrainer's workers; the loop takes itself up again after a worker died.

    Raises:
        AllFailed: it failed more often than the machine allows.
    """
    # Ray's own folder holds no result of ours, and a stale one would make it skip the training.
    shutil.rmtree(job.folder / "ray", ignore_errors=True)
    resources = {"CPU": machine.cpus_per_worker}
    if machine.gpus_per_worker:
        resources["GPU"] = machine.gpus_per_worker
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"job": job, "place": Place.of(machine), "supply": supply},
        torch_config=TorchConfig(backend="nccl" if machine.gpus_per_worker else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=machine.workers,
            use_gpu=machine.gpus_per_worker > 0,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(job.folder),
            failure_config=FailureConfig(max_failures=machine.max_failures),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )
    try:
        trainer.fit()
    except SystemExit:  # Ray's own answer to Ctrl-C; ours is to stop with 130
        raise KeyboardInterrupt from None
    except Exception as error:  # Ray has no common base for what fit raises; see docs/findings.md
        raise _failed(job, error) from error
    require_finished(job)


def _failed(job: Job, error: Exception) -> AllFailed:
    reason = RunResult.read(job.folder).error or str(error).strip().splitlines()[-1]
    return AllFailed(
        f"run '{job.name}' failed: {reason}",
        hint=f"its ledger and last checkpoint are in {shown(job.folder)}; the same command goes on "
        "from there. --debug shows the worker's traceback.",
    )


def _worker(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    seat = seat_for(
        config["job"], config["place"], rank=rank, world_size=size, tell=ray.train.report
    )
    _train_on(seat, config["job"], config["place"], config["supply"], torch.device(str(device)))


def run_in_trial(job: Job, place: Place, supply: Supply) -> None:
    """Train in this Tune trial, which has one worker."""
    device = torch.device("cuda" if place.gpus_per_worker else "cpu")
    seat = seat_for(job, place, rank=0, world_size=1, tell=tune.report)
    _train_on(seat, job, place, supply, device)


def _train_on(seat: Seat, job: Job, place: Place, supply: Supply, device: torch.device) -> None:
    torch.set_num_threads(place.threads)
    memory.keep_freed()
    open_shards = functools.partial(supply.open, job.recipe, seat.rank, seat.world_size, device)
    train_to_the_end(seat, job.recipe, open_shards)
