"""One training in this very process, without Ray: breakpoints and debuggers work."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from casas_ray.config import Machine
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import AllFailed
from casas_ray.model import memory
from casas_ray.model.feed import Shards
from casas_ray.places import shown
from casas_ray.results import RunResult
from casas_ray.run.job import Job, Place
from casas_ray.run.loop import train_to_the_end
from casas_ray.run.seats import Seat, Tell, tell_nobody


def run_here(
    job: Job, machine: Machine, prepared: PreparedSet, vectors: NDArray[np.float32]
) -> None:
    """Train, from the run's last checkpoint when it has one.

    Raises:
        AllFailed: it diverged.
    """
    place = Place.of(machine)
    device = torch.device("cuda" if place.gpus_per_worker else "cpu")
    torch.set_num_threads(place.threads)
    memory.keep_freed()
    open_shards = functools.partial(Shards.whole, prepared, job.recipe, vectors, device)
    train_to_the_end(seat_for(job, place), job.recipe, open_shards)
    require_finished(job)


def seat_for(
    job: Job, place: Place, *, rank: int = 0, world_size: int = 1, tell: Tell = tell_nobody
) -> Seat:
    """A worker's seat in a job."""
    return Seat(
        job.folder,
        rank=rank,
        world_size=world_size,
        log_every=job.tracking.log_every,
        keep_checkpoints=place.keep_checkpoints,
        watch_every=job.tracking.watch_every,
        draws=(job.tracking.log_parameters, job.tracking.log_gradients),
        shows_graph=job.tracking.log_graph,
        tell=tell,
    )


def require_finished(job: Job) -> None:
    """Nothing, when the run's ledger says that it finished.

    Raises:
        AllFailed: it diverged or stopped.
    """
    result = RunResult.read(job.folder)
    if result.status != "finished":
        raise AllFailed(
            f"run '{job.name}' ended as {result.status}: {result.error or 'for no known reason'}",
            hint=f"its ledger is in {shown(job.folder)}",
        )
