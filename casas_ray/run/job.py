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
    simulated: bool = False
    quick: bool = False

    def tags(self) -> list[str]:
        """Tags for W&B: where it comes from and what it is."""
        found = [*self.recipe.data.homes, f"seed:{self.recipe.seed}", *self.tracking.tags]
        found += [name for name in (self.group, self.arm) if name]
        marks = [("SIMULATED", self.simulated), ("quick", self.quick)]
        return found + [word for word, applies in marks if applies]


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
