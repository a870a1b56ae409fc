"""A job: one training, as data that travels to wherever it runs."""

from dataclasses import dataclass
from pathlib import Path

from casas_ray.config import Machine, Recipe, Tracking


@dataclass(frozen=True)
class Job:
    """What to train, where its run folder lies, and what W&B will call it."""

    name: str
    folder: Path
    recipe: Recipe
    tracking: Tracking
    group: str = ""
    arm: str = ""
    caveats: tuple[str, ...] = ()
    """What every view of the run says of its data: a simulated home, oracle windows."""

    quick: bool = False

    @property
    def simulated(self) -> bool:
        """Whether it trains on a simulated home."""
        return self.recipe.data.simulated

    def tags(self) -> list[str]:
        """Tags for W&B: where it comes from and what it is."""
        found = [*self.recipe.data.homes, f"seed:{self.recipe.seed}", *self.tracking.tags]
        found += [name for name in (self.group, self.arm) if name]
        quick = ["quick"] if self.quick else []
        return [*found, *(words.removesuffix(" home") for words in self.caveats), *quick]


@dataclass(frozen=True)
class Place:
    """The part of a machine that a worker must know."""

    threads: int
    workers: int
    gpus_per_worker: float
    keep_checkpoints: int

    @classmethod
    def of(cls, machine: Machine) -> "Place":
        """The place that a machine gives each worker."""
        return cls(
            machine.threads, machine.workers, machine.gpus_per_worker, machine.keep_checkpoints
        )
