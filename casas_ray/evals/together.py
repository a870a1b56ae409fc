"""Which runs may be shown together: seeds of one recipe are averaged, other recipes are rows, and
what was judged on other data is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casas_ray.config import Recipe
from casas_ray.errors import DataError, RefusedError
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown
from casas_ray.records.own_folder import hint_for_run
from casas_ray.records.run_record import RUN_FILE, RunRecord, is_simulated, with_quick
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import STUDY_FILE, read_study
from casas_ray.records.verdict import VERDICT_FILE


@dataclass(frozen=True)
class Judged:
    """A run that is to be judged, and what tells whether it may stand beside another."""

    folder: Path
    recipe: Recipe
    arm: str
    caveats: tuple[str, ...]
    """Of its data, and quick."""

    fingerprint: str
    gallery: str
    """Hash of the windows and captions that it is judged on; empty for runs from before it was
    kept."""

    @property
    def what(self) -> str:
        """Its recipe but for seed and label: equal for runs that are averaged."""
        return self.recipe.replace({"seed": 0, "name": ""}).digest()

    @property
    def label(self) -> str:
        """The arm, or where it belongs to no study the run's own name."""
        return self.arm or self.folder.name

    def shares_gallery(self, other: "Judged") -> bool:
        """Whether numbers of the two compare."""
        if self.gallery and other.gallery:
            return self.gallery == other.gallery
        return self.fingerprint == other.fingerprint


Groups = list[list[Judged]]
"""Arm by arm, its seeds."""


def together(folders: Sequence[Path], *, split: str) -> Groups:
    """The finished runs in these folders of runs and studies, grouped, for a look at a split.

    Trials of a study that failed or diverged are left out of it.

    Raises:
        DataError: a folder holds no run with a checkpoint.
        RefusedError: a run has not finished, or two of them cannot be compared or averaged.
    """
    runs = [_opened(folder, split) for named in folders for folder in _runs_in(named)]
    if not runs:
        raise RefusedError(
            f"no trial of {shown(folders[0])} finished.", hint="there is none to judge."
        )
    for run in runs[1:]:
        _refuse_unlike(runs[0], run)
    groups: dict[str, list[Judged]] = {}
    for run in runs:
        groups.setdefault(run.what, []).append(run)
    for seeds in groups.values():
        _refuse_repeated(seeds)
    return list(groups.values())


def _runs_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(
            f"{shown(folder)} has no best checkpoint: there is no such folder.",
            hint=hint_for_run(folder),
        )
    if not (folder / STUDY_FILE).is_file():
        return [folder]
    results = read_study(folder).results().values()
    return [run.folder for run in results if run.status not in ("failed", "diverged")]


def _opened(folder: Path, split: str) -> Judged:
    # Whole runs say it in text; a checkpoint that came without one says it too.
    result = RunResult.read(folder)
    if (folder / RUN_FILE).is_file() and "fingerprint" in result.info:
        record, about = RunRecord.read(folder), result.info
        recipe, arm, quick = record.recipe, record.arm, record.quick
    else:
        run = TrainedRun.open(folder)
        recipe, arm, quick, about = run.recipe, "", False, run.meta["about"]
    _refuse_unfinished(folder, result)
    return _judged(folder, recipe, arm, with_quick(about["caveats"], quick=quick), about, split)


def _judged(
    folder: Path,
    recipe: Recipe,
    arm: str,
    caveats: tuple[str, ...],
    about: Mapping[str, Any],  # Any: what JSON holds
    split: str,
) -> Judged:
    gallery = about.get("galleries", {}).get(split, "")
    return Judged(folder, recipe, arm, caveats, about["fingerprint"], gallery)


def _refuse_unfinished(folder: Path, result: RunResult) -> None:
    # What was judged once is judged: its answer is repeated, whatever became of the run since.
    if result.status == "finished" or (folder / VERDICT_FILE).exists():
        return
    raise RefusedError(
        f"{shown(folder)} has not finished: its ledger says {result.status}.",
        hint="train it to its end first; a look at the test days is final.",
    )


def _refuse_unlike(first: Judged, other: Judged) -> None:
    pair = f"{shown(first.folder)} and {shown(other.folder)}"
    hint = "judge them by separate commands."
    if is_simulated(first.caveats) != is_simulated(other.caveats):
        raise RefusedError(f"{pair}: one home is SIMULATED, the other is not.", hint=hint)
    if first.recipe.data.homes != other.recipe.data.homes:
        raise RefusedError(f"{pair} are of other homes.", hint=hint)
    if not first.shares_gallery(other):
        raise RefusedError(f"{pair} are judged on other windows or captions.", hint=hint)


def _refuse_repeated(seeds: Sequence[Judged]) -> None:
    held: dict[int, Judged] = {}
    for run in seeds:
        other = held.setdefault(run.recipe.seed, run)
        if other is not run:
            raise RefusedError(
                f"{shown(other.folder)} and {shown(run.folder)} are one recipe with one seed, "
                f"{run.recipe.seed}.",
                hint="a seed counts once; leave one of them out.",
            )
