"""A run's record: one training as data that travels to wherever it runs, kept as `run.json`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from casas_ray import paths
from casas_ray.config import Recipe, Tracking, differences, flat
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import shown
from casas_ray.records.own_folder import RUN_FILE, hint_for_run, own
from casas_ray.records.provenance import UNKNOWN_CODE, Code
from casas_ray.records.run_result import SETTLED, RunResult
from casas_ray.sealed import fitted, read_sealed, write_sealed

log = logging.getLogger(__name__)

QUICK = "quick"
"""The caveat of the tiny model and few epochs."""


class _About(BaseModel):
    """What `run.json` holds."""

    name: str
    group: str
    arm: str
    caveats: tuple[str, ...]
    quick: bool
    tracking: dict[str, Any]  # Any: checked as settings are
    recipe: dict[str, Any]  # Any: as above
    files: dict[str, str] = {}


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

    code: Code = field(default_factory=lambda: UNKNOWN_CODE)
    """Which code trains it, asked where the command runs: it travels to the workers, which cannot
    know."""

    files: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each file that somebody gave its data in, by what it is: train, vocab, ..."""

    def write(self) -> None:
        """Write `run.json`: what `sync` and `audit` must know of the run besides its ledger."""
        own(self.folder)
        # These keys are out in the world: `sync` and `audit` read the runs of earlier versions.
        about = {
            "name": self.name,
            "group": self.group,
            "arm": self.arm,
            "caveats": list(self.caveats),
            "quick": self.quick,
            "tracking": self.tracking.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
            "files": dict(self.files),
        }
        write_sealed(self.folder / RUN_FILE, about)

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """The record of a run's folder.

        Raises:
            DataError: the folder holds no run, or `run.json` is damaged.
        """
        path = folder / RUN_FILE
        if not path.exists():
            raise DataError(f"{shown(folder)} holds no run.", hint=hint_for_run(folder))
        hint = "the command that started the run, given again, writes it anew."
        about = fitted(_About, read_sealed(path, hint=hint), path, hint=hint)
        return cls(
            about.name,
            folder,
            Recipe.build(about.recipe),
            Tracking.build(about.tracking),
            about.group,
            about.arm,
            about.caveats,
            about.quick,
            files=about.files,
        )

    @property
    def marks(self) -> tuple[str, ...]:
        """The one list of caveats that every view of the run shows: of its data, and quick."""
        return with_quick(self.caveats, quick=self.quick)

    def tags(self) -> list[str]:
        """Tags for W&B: homes, seed, the user's own, group and arm, caveats."""
        tags = [*self.recipe.data.homes, f"seed:{self.recipe.seed}", *self.tracking.tags]
        tags += [name for name in (self.group, self.arm) if name]
        return [*tags, *tags_of(self.marks)]


def with_quick(caveats: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """The caveats, and `quick` last where it applies."""
    return (*(caveat for caveat in caveats if caveat != QUICK), *([QUICK] if quick else []))


def is_simulated(caveats: Sequence[str]) -> bool:
    """Whether the caveats tell of a simulated home."""
    return any(caveat.startswith("SIMULATED") for caveat in caveats)


def tags_of(caveats: Sequence[str]) -> list[str]:
    """The caveats as tags: `SIMULATED home` is tagged SIMULATED."""
    return [caveat.removesuffix(" home") for caveat in caveats]


def run_folder(
    recipe: Recipe, name: str = "", *, quick: bool = False, simulated: bool = False
) -> Path:
    """The folder of a recipe's run: under the given name, or under what it is.

    Raises:
        RefusedError: the name cannot be a folder's.
    """
    if name:
        return paths.runs() / paths.folder_name(paths.safe_name(name, what="run"))
    simulated = simulated or recipe.data.simulated
    marks = [mark for mark, on in (("quick", quick), ("simulated", simulated)) if on]
    end = "-".join(["", *marks, f"seed{recipe.seed}", recipe.digest()[:8]])
    most = paths.LONGEST_NAME - len(end)
    start = paths.folder_name(f"{recipe.name}-{recipe.data.label}", most=most)
    return paths.runs() / f"{start}{end}"


def claim(record: RunRecord) -> None:
    """Make the run's folder this recipe's, so that no run goes on from another's checkpoint.

    It must be locked: two that start at once would both find it free.

    Raises:
        RefusedError: it is another recipe's, or holds what is not ours.
    """
    changed = ", ".join(sorted(changed_from(record)))
    if changed:
        raise RefusedError(
            f"{shown(record.folder)} holds a run of another recipe; it differs in {changed}.",
            hint="give the new run another --name or --output-dir.",
        )
    record.write()


def changed_from(record: RunRecord) -> set[str]:
    """The settings, and the files of data, in which a record differs from the run that lies in its
    folder."""
    if not (record.folder / RUN_FILE).exists():
        return set()
    try:
        held = RunRecord.read(record.folder)
    except DataError as error:
        log.warning("%s It is written anew.", error.problem)
        # The ledger says it too, under the paths of the settings.
        said = RunResult.read(record.folder).info.get("recipe") or flat(record.recipe)
        return {path for path, value in flat(record.recipe).items() if said.get(path) != value}
    files = held.files.keys() | record.files.keys() if held.files and record.files else ()
    other = {name for name in files if held.files.get(name) != record.files.get(name)}
    return {*differences(held.recipe, record.recipe), *(f"the file of {name}" for name in other)}


def records_in(folder: Path) -> list[RunRecord]:
    """The run in a folder, or the runs of a study in it.

    Raises:
        DataError: it holds none.
    """
    runs = [folder] if (folder / RUN_FILE).is_file() else sorted(folder.glob("*/"))
    records = [RunRecord.read(run) for run in runs if (run / RUN_FILE).is_file()]
    if not records:
        raise DataError(f"{shown(folder)} holds no run.", hint=hint_for_run(folder))
    return records


def unsettled(records: Sequence[RunRecord]) -> list[int]:
    """The indices of runs that have not come to an end that would repeat itself."""
    return [
        index
        for index, record in enumerate(records)
        if RunResult.read(record.folder).status not in SETTLED
    ]
