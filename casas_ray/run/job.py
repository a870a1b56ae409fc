"""A job: one training, as data that travels to wherever it runs."""

import json
from dataclasses import dataclass
from pathlib import Path

from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.errors import DataError
from casas_ray.places import shown

RUN_FILE = "run.json"


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

    def remember(self) -> None:
        """Write `run.json`: what `sync` and `audit` must know of the run besides its ledger."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "name": self.name,
            "group": self.group,
            "arm": self.arm,
            "caveats": list(self.caveats),
            "quick": self.quick,
            "tracking": self.tracking.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
        }
        path = self.folder / RUN_FILE
        path.write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def recall(cls, folder: Path) -> "Job":
        """The job of a run's folder.

        Raises:
            DataError: the folder holds no run.
        """
        try:
            about = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise DataError(f"{shown(folder)} holds no run.", hint="see data/runs/") from None
        return cls(
            about["name"],
            folder,
            Recipe.build(about["recipe"]),
            Tracking.build(about["tracking"]),
            about["group"],
            about["arm"],
            tuple(about["caveats"]),
            about["quick"],
        )

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
