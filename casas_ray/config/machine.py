"""A machine: where a training runs; nothing of it may change a result but its last digits."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from casas_ray.config.base import Count, CountOrNone, Settings


class Slurm(Settings):
    """What a job of Slurm asks for; `casas-ray submit` takes Slurm where a partition is named."""

    partition: str = ""
    """The partition; empty where there is no Slurm."""

    nodes: Count = 1
    """Nodes of a job, each with a part of the Ray cluster."""

    cpus_per_node: Count = 1
    """CPUs of each."""

    gpus_per_node: CountOrNone = 0
    """GPUs of each."""

    minutes: Count = 60
    """After so many minutes Slurm ends the job; it is told two minutes before."""

    account: str = ""
    """Who pays; empty where nobody asks."""


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) and "," in value else value


Workers = Annotated[Count | tuple[Count, Count], BeforeValidator(_split)]


class Machine(Settings):
    """All that changes no result but its last digits: where, and on how many workers.

    Batches, masks and dropout are the same on any machine. Sums over other numbers of workers or
    threads, or on a GPU, are rounded otherwise.
    """

    name: str = "laptop"
    """As its file in cluster/."""

    # A path of machine files and command lines, so it keeps the name; the code says context.
    seat: Literal["ray", "debug"] = "ray"
    """`debug` runs the loop in this very process, without Ray."""

    address: str = ""
    """The Ray cluster; empty starts one here, unless RAY_ADDRESS names one."""

    dashboard: str = ""
    """Where `casas-ray submit` sends jobs, e.g. http://127.0.0.1:8265."""

    storage: str = ""
    """Where a copy of runs is kept besides this disk: a folder that lasts, or s3://BUCKET/PATH or
    gs://BUCKET/PATH. A run that is not on this disk is taken up from there."""

    autoscaled: bool = False
    """Whether the cluster adds nodes for what waits. Then a training may want more than it has now,
    and `concurrent_trials` should say how many it can grow to."""

    workers: Workers = 1
    """Workers of one training. Two numbers, as [1,4], are the fewest and the most: it goes on with
    those that a cluster has room for. The batch stays what it is, and has to divide among each
    number of workers that it may come to."""

    cpus_per_worker: Annotated[float, Field(gt=0.0, le=1e6)] = 1.0
    """CPUs that Ray keeps free for a worker. What torch computes with is `threads_per_worker`."""

    gpus_per_worker: Annotated[float, Field(ge=0.0, le=1e6)] = 0.0
    """GPUs of a worker; 0 trains on the CPU. A part of one, as 0.25, lets so many trials of one
    worker share a GPU and its memory."""

    threads_per_worker: CountOrNone = 0
    """Torch threads; 0 is one, whatever CPUs there are, for sums over other threads differ in
    their last digits. More are faster on a CPU: give as many as CPUs."""

    concurrent_trials: CountOrNone = 0
    """Trials of a study at a time; 0 is as many as fit."""

    max_failures: CountOrNone = 2
    """How often a training is taken up again after a worker died."""

    hang_seconds: CountOrNone = 1800
    """A worker that takes no step for so long is ended, and its training is taken up again; 0 waits
    for ever. To be longer than a look at the validation days takes."""

    price_per_hour: Annotated[float, Field(ge=0.0, le=1e6)] = 0.0
    """What an hour of the whole machine costs, in your currency, for `casas-ray plan`; 0 where
    nobody pays."""

    keep_checkpoints: Count = 2
    """The newest so many are kept, and always the best."""

    slurm: Slurm = Slurm()

    @property
    def fewest_workers(self) -> int:
        """With so many a training can go on."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        """A training takes so many where there is room."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is another machine than this one."""
        return bool(self.address or self.dashboard or self.slurm.partition)

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change while it trains."""
        return self.fewest_workers < self.most_workers

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.fewest_workers > self.most_workers:
            raise ValueError("workers are the fewest and then the most")
        share = self.gpus_per_worker
        if share % 1 and share > 1:
            raise ValueError(f"gpus_per_worker {share:g} is neither whole nor a part of one GPU")
        if share % 1 and self.most_workers > 1:
            raise ValueError(
                f"gpus_per_worker {share:g} is for trainings of one worker: several would meet on "
                "one GPU, which NCCL refuses; take whole GPUs, or workers=1"
            )
        return self

    @property
    def threads(self) -> int:
        """Torch threads of a worker."""
        return self.threads_per_worker or 1
