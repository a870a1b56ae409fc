"""The comparison of a study's arms: mean and spread over seeds, beside chance and the untrained."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from casas_ray.records.run_result import RunResult
from casas_ray.study import BASE_ARM

METRICS = ("val/recall@1", "val/recall@5", "val/recall@10", "val/recall_mean", "val/clip_loss")
MAIN_METRIC = "val/recall_mean"


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and its sample standard deviation; None with fewer than two seeds."""

    mean: float
    std: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """The spread of some values, or None when there are none."""
        if not values:
            return None
        std = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), std, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + (f" ± {self.std:.3f}" if self.std is not None else "")

    def signed(self) -> str:
        """With a sign, for a difference."""
        return f"{self.mean:+.3f}" + (f" ± {self.std:.3f}" if self.std is not None else "")


@dataclass(frozen=True)
class ArmRow:
    """One arm: how its seeds ended, and its metrics at the step that validation chose."""

    name: str
    statuses: Mapping[str, int]
    metrics: Mapping[str, Spread | None]
    change: Spread | None
    """Of the main metric, from the base with the same seed; None for the base itself."""

    @property
    def seeds(self) -> str:
        """Finished seeds, and of how many when some are missing."""
        done, total = self.statuses.get("finished", 0), sum(self.statuses.values())
        return str(total) if done == total else f"{done} of {total}"

    @property
    def status(self) -> str:
        """`finished`, or what happened to how many."""
        if set(self.statuses) == {"finished"}:
            return "finished"
        return ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))


@dataclass(frozen=True)
class StudyTable:
    """All arms of a study, the base first, and the two baselines every number is seen beside."""

    arms: Sequence[ArmRow]
    chance: Mapping[str, float]
    untrained: Mapping[str, Spread | None]
    gallery: int

    def as_dict(self) -> dict[str, object]:
        """The table as JSON can hold it."""
        return {
            "metrics": list(METRICS),
            "main_metric": MAIN_METRIC,
            "gallery": self.gallery,
            "chance": dict(self.chance),
            "untrained": {name: _plain(spread) for name, spread in self.untrained.items()},
            "arms": [
                {
                    "arm": row.name,
                    "statuses": dict(row.statuses),
                    "metrics": {name: _plain(spread) for name, spread in row.metrics.items()},
                    "change_from_base": _plain(row.change),
                }
                for row in self.arms
            ],
        }


def flat_rows(table: StudyTable) -> list[list[str | float | None]]:
    """The table as rows of plain cells under a header: arm, then mean and std of each metric.

    The untrained model and chance are its last two rows.
    """
    header: list[str | float | None] = ["arm"]
    header += [f"{metric} {part}" for metric in METRICS for part in ("mean", "std")]
    header += ["change from base", "change std"]
    rows = [header]
    for row in table.arms:
        spreads = [*(row.metrics[metric] for metric in METRICS), row.change]
        rows.append([row.name, *_mean_and_std(spreads)])
    untrained = _mean_and_std([table.untrained.get(metric) for metric in METRICS])
    chance = [cell for metric in METRICS for cell in (table.chance.get(metric), None)]
    rows += [["untrained", *untrained, None, None], ["chance", *chance, None, None]]
    return rows


def _mean_and_std(spreads: Sequence[Spread | None]) -> list[float | None]:
    pairs = [(spread.mean, spread.std) if spread else (None, None) for spread in spreads]
    return [cell for pair in pairs for cell in pair]


def curves(results: Mapping[tuple[str, int], RunResult]) -> dict[str, list[tuple[int, float]]]:
    """For each arm (step, main metric) in order of steps; the mean over the seeds that have it."""
    by_step: dict[str, dict[int, list[float]]] = {}
    for (arm, _), run in results.items():
        for row in run.rows:
            value = row.get("metrics", {}).get(MAIN_METRIC)
            if isinstance(value, float):  # what is not finite is text in a ledger
                by_step.setdefault(arm, {}).setdefault(row["step"], []).append(value)
    return {
        arm: [(step, statistics.fmean(values)) for step, values in sorted(steps.items())]
        for arm, steps in by_step.items()
    }


def _plain(spread: Spread | None) -> dict[str, float | int | None] | None:
    return None if spread is None else vars(spread).copy()


def study_table(results: Mapping[tuple[str, int], RunResult]) -> StudyTable:
    """The table of a study's runs, given by (arm, seed); the base must be the first arm.

    A run that failed or diverged counts in its arm's status and in no mean.
    """
    arms = list(dict.fromkeys(arm for arm, _ in results))
    seeds = list(dict.fromkeys(seed for _, seed in results))
    finished = {key: run for key, run in results.items() if run.status == "finished"}
    first = next(iter(finished.values()), None)
    return StudyTable(
        arms=[_arm_row(arm, seeds, results, finished) for arm in arms],
        chance=_chance(first.best()) if first else {},
        # Of the base alone: arms of one seed start from equal weights, and counting them again
        # would make the spread look smaller than it is.
        untrained=_spreads([results[arms[0], seed].untrained() for seed in seeds]),
        gallery=int(first.best().get("val/gallery", 0)) if first else 0,
    )


def _arm_row(
    arm: str,
    seeds: Sequence[int],
    results: Mapping[tuple[str, int], RunResult],
    finished: Mapping[tuple[str, int], RunResult],
) -> ArmRow:
    statuses: dict[str, int] = {}
    for seed in seeds:
        status = results[arm, seed].status
        statuses[status] = statuses.get(status, 0) + 1
    best = [finished[arm, seed].best() for seed in seeds if (arm, seed) in finished]
    pairs = [seed for seed in seeds if (arm, seed) in finished and (BASE_ARM, seed) in finished]
    # Paired by seed: seeds differ more than most arms do, and the mean of differences leaves that
    # out. A seed that either arm lacks is left out of both.
    changes = [
        finished[arm, seed].best()[MAIN_METRIC] - finished[BASE_ARM, seed].best()[MAIN_METRIC]
        for seed in pairs
        if all(MAIN_METRIC in finished[one, seed].best() for one in (arm, BASE_ARM))
    ]
    return ArmRow(arm, statuses, _spreads(best), None if arm == BASE_ARM else Spread.of(changes))


def _spreads(runs: Sequence[Mapping[str, float]]) -> dict[str, Spread | None]:
    return {name: Spread.of([run[name] for run in runs if name in run]) for name in METRICS}


def _chance(best: Mapping[str, float]) -> dict[str, float]:
    names = {name: name.replace("val/", "val/chance_") for name in METRICS}
    return {name: best[chance] for name, chance in names.items() if chance in best}
