"""A machine: where a training runs; nothing of it may change a result."""

from typing import Annotated, Literal

from pydantic import Field

from casas_ray.config.base import Count, CountOrNone, Settings


class Machine(Settings):
    """All that may not change a result: where and on how many workers."""

    name: str = "laptop"

    # A path of machine files and command lines, so it keeps the name; the code says context.
    seat: Literal["ray", "debug"] = "ray"
    """`debug` runs the loop in this very process, without Ray."""

    address: str = ""
    """The Ray cluster; empty starts one here, unless RAY_ADDRESS names one."""

    dashboard: str = ""
    """Where `casas-ray submit` sends jobs, e.g. http://127.0.0.1:8265."""

    workers: Count = 1
    """Workers of one training."""

    cpus_per_worker: Annotated[float, Field(gt=0.0, le=1e6)] = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0.0, le=1e6)] = 0.0

    threads_per_worker: CountOrNone = 0
    """Torch threads; 0 takes the whole CPUs of the worker, at least one."""

    concurrent_trials: CountOrNone = 0
    """Trials of a study at a time; 0 is as many as fit."""

    max_failures: CountOrNone = 2
    """How often a training is taken up again after a worker died."""

    keep_checkpoints: Count = 2
    """The newest so many are kept, and always the best."""

    @property
    def threads(self) -> int:
        """Torch threads of a worker."""
        return self.threads_per_worker or max(1, int(self.cpus_per_worker))
