"""A run's record: one training as data that travels to wherever it runs, kept as `run.json`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casas_ray import paths
from casas_ray.config import Recipe, Tracking, differences
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import own_folder, shown, write_json
from casas_ray.records.run_result import RunResult

# Its keys are out in the world: `sync` and `audit` read the runs of earlier versions.
RUN_FILE = "run.json"
# A diverged run diverges again: the same recipe gives the same numbers.
_SETTLED = ("finished", "diverged")


@dataclass(frozen=True)
class RunRecord:
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

    def write(self) -> None:
        """Write `run.json`: what `sync` and `audit` must know of the run besides its ledger."""
        own_folder(self.folder)
        about = {
            "name": self.name,
            "group": self.group,
            "arm": self.arm,
            "caveats": list(self.caveats),
            "quick": self.quick,
            "tracking": self.tracking.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
        }
        write_json(self.folder / RUN_FILE, about)

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """The record of a run's folder.

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
        """Tags for W&B: homes, seed, the user's own, group and arm, caveats."""
        tags = [*self.recipe.data.homes, f"seed:{self.recipe.seed}", *self.tracking.tags]
        tags += [name for name in (self.group, self.arm) if name]
        quick = ["quick"] if self.quick else []
        return [*tags, *(caveat.removesuffix(" home") for caveat in self.caveats), *quick]


def run_folder(recipe: Recipe, name: str = "", *, quick: bool = False) -> Path:
    """The folder of a recipe's run: under the given name, or under what it is.

    Raises:
        RefusedError: the name cannot be a folder's.
    """
    simulated = recipe.data.simulated
    marks = [mark for mark, on in (("quick", quick), ("simulated", simulated)) if on]
    parts = [recipe.name, recipe.data.label, *marks, f"seed{recipe.seed}", recipe.digest()[:8]]
    return paths.runs() / paths.safe_name(name or "-".join(parts), what="run")


def claim(record: RunRecord) -> None:
    """Make the run's folder this recipe's, so that no run goes on from another's checkpoint.

    Raises:
        RefusedError: it is another recipe's.
    """
    path = record.folder / RUN_FILE
    if path.exists():
        held = Recipe.build(json.loads(path.read_text(encoding="utf-8"))["recipe"])
        changed = ", ".join(sorted(differences(held, record.recipe)))
        if changed:
            raise RefusedError(
                f"{shown(record.folder)} holds a run of another recipe; it differs in {changed}.",
                hint="give the new run another --name or --output-dir.",
            )
    record.write()


def records_in(folder: Path) -> list[RunRecord]:
    """The run in a folder, or the runs of a study in it.

    Raises:
        DataError: it holds none.
    """
    runs = [folder] if (folder / RUN_FILE).is_file() else sorted(folder.glob("*/"))
    records = [RunRecord.read(run) for run in runs if (run / RUN_FILE).is_file()]
    if not records:
        raise DataError(f"{shown(folder)} holds no run.", hint="see data/runs/")
    return records


def unsettled(records: Sequence[RunRecord]) -> list[int]:
    """The indices of runs that have not come to an end that would repeat itself."""
    return [
        index
        for index, record in enumerate(records)
        if RunResult.read(record.folder).status not in _SETTLED
    ]
