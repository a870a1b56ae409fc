"""What one training took, read off its ledger: time, memory and disk."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from casas_ray.records.rows import Row
from casas_ray.records.run_result import CHECKPOINTS, RunResult


@dataclass(frozen=True)
class Taken:
    """One training that was seen: what of it a cost is made of."""

    step_seconds: float
    look_seconds: float
    steps_per_epoch: int
    memory_mib: float
    gpu_memory_mib: float
    checkpoint_bytes: float
    ended: float


def taken_by(run: RunResult) -> Taken | None:
    """What a run took; None of one that did not finish in one go."""
    starts = [row for row in run.rows if row["event"] == "start"]
    looks = sorted({row["step"] for row in run.rows if _is_look(row)})
    if run.status != "finished" or len(starts) != 1 or len(looks) < 2 or not run.step:
        return None
    began, ended = starts[0]["time"], run.rows[-1]["time"]
    first = next(row["time"] for row in run.rows if _is_look(row))
    look = max(0.0, first - began)
    training = (ended - began - len(looks) * look) / run.step
    return Taken(
        step_seconds=max(training, 1e-6),
        look_seconds=look,
        steps_per_epoch=_steps_per_epoch(run),
        memory_mib=most_memory(run),
        gpu_memory_mib=_most(run, "system/gpu_memory_allocated"),
        checkpoint_bytes=_checkpoint_bytes(run.folder),
        ended=ended,
    )


def _is_look(row: Row) -> bool:
    return row["event"] == "metrics" and "val/total_loss" in row["metrics"]


def _steps_per_epoch(run: RunResult) -> int:
    """As the run says it, or as its length tells where it went through whole epochs."""
    said, recipe = run.info.get("steps_per_epoch"), run.info.get("recipe", {})
    total, epochs = int(run.info.get("total_steps", 1)), int(recipe.get("optim.epochs", 1))
    return int(said) if said else max(1, total // epochs)


def _most(run: RunResult, metric: str) -> float:
    values = (row["metrics"].get(metric, 0.0) for row in run.rows if row["event"] == "metrics")
    return max((value for value in values if isinstance(value, float)), default=0.0)


def most_memory(run: RunResult) -> float:
    """The most MiB that the process of a run had in RAM, as its rows tell; 0 where none does."""
    return _most(run, "system/host_memory")


def _checkpoint_bytes(folder: Path) -> float:
    sizes = [
        sum(path.stat().st_size for path in each.iterdir() if path.is_file())
        for each in (folder / CHECKPOINTS).glob("step-*")
    ]
    return float(max(sizes, default=0))


def paces_of(run: RunResult) -> list[float]:
    """The seconds a step between each two rows of its training metrics."""
    times = {row["step"]: row["time"] for row in run.rows if _is_training(row)}
    steps = sorted(times)
    # The first steps warm up: they begin where the first row stands.
    pairs = itertools.pairwise(steps)
    paces = [(times[after] - times[before]) / (after - before) for before, after in pairs]
    return [pace for pace in paces if pace > 0]


def _is_training(row: Row) -> bool:
    return row["event"] == "metrics" and "train/total_loss" in row["metrics"]
