"""The curves of runs: what each seed of each arm earned at each step, read off the ledgers."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from casas_ray.records.run_result import RunResult

Points = list[tuple[int, float]]
"""(step, value), in order of steps."""

METRICS = {
    "val/recall_mean": "recall_mean, validation days (share of queries)",
    "val/clip_loss": "contrastive loss, validation days (nats)",
    "train/clip_loss": "contrastive loss, training (nats)",
    "val/mlm_loss": "masked-event loss, validation days (nats)",
}
"""What is drawn, with its axis."""

STEP_AXIS = "training step"


@dataclass(frozen=True)
class Curve:
    """One metric of one arm."""

    seeds: Mapping[int, Points]
    """By seed; one that never had the metric is left out."""

    best: Mapping[int, tuple[int, float]]
    """By seed, the point that validation chose, where it has one."""

    @property
    def mean(self) -> Points:
        """The mean over seeds, at the steps that every one of them has."""
        by_seed = [dict(points) for points in self.seeds.values()]
        shared = set.intersection(*map(set, by_seed)) if by_seed else set()
        return [
            (step, statistics.fmean(values[step] for values in by_seed)) for step in sorted(shared)
        ]


@dataclass(frozen=True)
class Panel:
    """One metric of all arms."""

    metric: str
    axis: str
    arms: Mapping[str, Curve]
    chance: float | None
    """What a random ranking earns, where all runs rank in galleries that give it the same."""


@dataclass(frozen=True)
class Drawing:
    """All that a picture of runs shows."""

    title: str
    caveats: Sequence[str]
    arms: Mapping[str, str]
    """By arm, how many seeds it has and how they ended."""

    panels: Sequence[Panel]


def drawing(
    title: str, caveats: Sequence[str], results: Mapping[tuple[str, int], RunResult]
) -> Drawing:
    """What is to be drawn of runs, given by (arm, seed); a metric that no run has is left out."""
    by_arm: dict[str, dict[int, RunResult]] = {}
    for (arm, seed), run in results.items():
        by_arm.setdefault(arm, {})[seed] = run
    panels = [_panel(metric, axis, by_arm) for metric, axis in METRICS.items()]
    return Drawing(
        title,
        tuple(caveats),
        {arm: _ended(runs.values()) for arm, runs in by_arm.items()},
        [panel for panel in panels if any(curve.seeds for curve in panel.arms.values())],
    )


def _panel(metric: str, axis: str, by_arm: Mapping[str, Mapping[int, RunResult]]) -> Panel:
    curves = {arm: _curve(metric, runs) for arm, runs in by_arm.items()}
    every = [run for runs in by_arm.values() for run in runs.values()]
    return Panel(metric, axis, curves, _chance(metric, every))


def _curve(metric: str, runs: Mapping[int, RunResult]) -> Curve:
    seeds = {seed: found for seed, run in runs.items() if (found := _points(run, metric))}
    # Of training no step was chosen.
    marks = {
        seed: (run.best_step, dict(seeds[seed]).get(run.best_step))
        for seed, run in runs.items()
        if seed in seeds and run.best_step is not None and metric.startswith("val/")
    }
    best = {seed: (step, value) for seed, (step, value) in marks.items() if value is not None}
    return Curve(seeds, best)


def _points(run: RunResult, metric: str) -> Points:
    # What is not finite is text in a ledger, and has no place in a picture.
    found = {
        row["step"]: float(value)
        for row in run.rows
        if isinstance(value := row.get("metrics", {}).get(metric), float | int)
    }
    return sorted(found.items())


def _chance(metric: str, runs: Iterable[RunResult]) -> float | None:
    name = metric.replace("val/", "val/chance_")
    levels = {run.untrained()[name] for run in runs if name in run.untrained()}
    return levels.pop() if len(levels) == 1 else None


def _ended(runs: Iterable[RunResult]) -> str:
    statuses = [run.status for run in runs]
    seeds = "1 seed" if len(statuses) == 1 else f"{len(statuses)} seeds"
    others = [
        f"{statuses.count(status)} {status}"
        for status in dict.fromkeys(statuses)
        if status != "finished"
    ]
    return ", ".join([seeds, *others])
