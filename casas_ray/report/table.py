"""The comparison of a study's arms: mean and spread over seeds, beside chance and the untrained,
and the verdict on each."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from casas_ray.records.ledger import finite
from casas_ray.records.rule import METRIC, Rule, assumed_rule
from casas_ray.records.run_result import RunResult
from casas_ray.report.decision import Decision, as_json, decide, foreseen
from casas_ray.report.effects import Effect, effects
from casas_ray.report.gallery import Gallery, common, gallery_of
from casas_ray.report.pairs import Results, difference, pairs_of
from casas_ray.report.remarks import looks, remarks
from casas_ray.study import BASE_ARM

METRICS = ("val/recall@1", "val/recall@5", "val/recall@10", "val/recall_mean", "val/clip_loss")
MAIN_METRIC = METRIC


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
    """Of the main metric, from the base with the same seed; None for the base itself, and for an
    arm that was judged on another gallery."""

    gallery: int = 0
    """Windows that its validations rank among; 0 where none was, or its seeds do not agree."""

    chance: Mapping[str, float] = field(default_factory=dict)
    """What a random ranking earns in that gallery."""

    is_comparable: bool = True
    """Whether it was judged on the base's gallery."""

    decision: Decision | None = None
    """None where `change` must be: of the base, and of an arm that does not compare."""

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
    """In the base's gallery, as `untrained` and `gallery` are the base's."""

    untrained: Mapping[str, Spread | None]
    gallery: int
    remarks: Sequence[str] = ()
    """What else must be known, such as runs of unlike code."""

    looks: Sequence[str] = ()
    """The runs whose test days were looked at, with when and by whom."""

    rule: Rule = field(default_factory=lambda: assumed_rule((), ()))
    """What the verdicts are drawn by."""

    effects: Sequence[Effect] = ()
    """Of crossed arms, each setting's alone and of two together."""

    @property
    def decisions(self) -> dict[str, Decision]:
        """The verdicts by arm."""
        return {row.name: row.decision for row in self.arms if row.decision is not None}

    @property
    def strangers(self) -> list[str]:
        """The arms that no change is told of, for they were judged on another gallery."""
        return [row.name for row in self.arms if not row.is_comparable]

    def as_dict(self) -> dict[str, object]:
        """The table as JSON can hold it."""
        return {
            "metrics": list(METRICS),
            "main_metric": MAIN_METRIC,
            "gallery": self.gallery,
            "chance": finite(self.chance),
            "untrained": {name: plain(spread) for name, spread in self.untrained.items()},
            "remarks": list(self.remarks),
            "test_days_looked_at": list(self.looks),
            "rule": self.rule.model_dump(mode="json"),
            "effects": [effect.as_dict() for effect in self.effects],
            "arms": [
                {
                    "arm": row.name,
                    "statuses": dict(row.statuses),
                    "metrics": {name: plain(spread) for name, spread in row.metrics.items()},
                    "gallery": row.gallery,
                    "chance": finite(row.chance),
                    "judged_on_the_gallery_of_the_base": row.is_comparable,
                    "change_from_base": plain(row.change),
                    "verdict": as_json(row.decision) if row.decision else None,
                }
                for row in self.arms
            ],
        }


def flat_rows(table: StudyTable) -> list[list[str | float | None]]:
    """The table as rows of plain cells under a header: arm, then mean and std of each metric.

    The untrained model and chance, both in the base's gallery, are its last two rows.
    """
    header: list[str | float | None] = ["arm"]
    header += [f"{metric} {part}" for metric in METRICS for part in ("mean", "std")]
    header += ["change from base", "change std", "gallery", f"chance of {MAIN_METRIC}", "seeds"]
    header += ["verdict"]
    rows = [header]
    for row in table.arms:
        spreads = [*(row.metrics[metric] for metric in METRICS), row.change]
        verdict = row.decision.verdict if row.decision else None
        about = [row.gallery, row.chance.get(MAIN_METRIC), row.seeds, verdict]
        rows.append([row.name, *_mean_and_std(spreads), *about])
    own = [table.gallery, table.chance.get(MAIN_METRIC), None, None]
    untrained = _mean_and_std([table.untrained.get(metric) for metric in METRICS])
    chance = [cell for metric in METRICS for cell in (table.chance.get(metric), None)]
    rows += [
        [name, *cells, None, None, *own]
        for name, cells in (("untrained", untrained), ("chance", chance))
    ]
    return rows


def _mean_and_std(spreads: Sequence[Spread | None]) -> list[float | None]:
    pairs = [(spread.mean, spread.std) if spread else (None, None) for spread in spreads]
    return [cell for pair in pairs for cell in pair]


def curves(results: Results) -> dict[str, list[tuple[int, float]]]:
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


def plain(spread: Spread | None) -> dict[str, float | str | int | None] | None:
    """A spread as JSON can hold it: what is not finite is text."""
    if spread is None:
        return None
    std = None if spread.std is None else finite({"std": spread.std})["std"]
    return {**finite({"mean": spread.mean}), "std": std, "count": spread.count}


def study_table(results: Results, rule: Rule | None = None) -> StudyTable:
    """The table of a study's runs, given by (arm, seed); the base must be the first arm.

    A run that failed or diverged counts in its arm's status and in no mean. Without a rule, the
    one that is assumed of studies that wrote none.
    """
    arms = list(dict.fromkeys(arm for arm, _ in results))
    seeds = list(dict.fromkeys(seed for _, seed in results))
    base = _runs_of(arms[0], results)
    judged_on = common(base)
    rule = rule or assumed_rule([arm for arm in arms if arm != BASE_ARM], seeds)
    rows = [_arm_row(arm, results, judged_on) for arm in arms]
    pairs = {row.name: pairs_of(row.name, results) for row in rows if _differs(row)}
    decided = foreseen(rule, decide(rule, pairs))
    return StudyTable(
        arms=[replace(row, decision=decided.get(row.name)) for row in rows],
        chance=_chance(base),
        # Of the base alone: arms of one seed start from equal weights, and counting them again
        # would make the spread look smaller than it is.
        untrained=_spreads([run.untrained() for run in base]),
        gallery=judged_on.windows if judged_on else 0,
        remarks=remarks(results),
        looks=looks(results),
        rule=rule,
        effects=effects(results, arms) if all(row.is_comparable for row in rows) else (),
    )


def _runs_of(arm: str, results: Results) -> list[RunResult]:
    return [run for (name, _), run in results.items() if name == arm]


def _differs(row: ArmRow) -> bool:
    return row.name != BASE_ARM and row.is_comparable


def _arm_row(arm: str, results: Results, judged_on: Gallery | None) -> ArmRow:
    runs = _runs_of(arm, results)
    statuses: dict[str, int] = {}
    for run in runs:
        statuses[run.status] = statuses.get(run.status, 0) + 1
    own = common(runs)
    was_judged = any(gallery_of(run) for run in runs)
    # An arm of which nothing was judged has no number that could be compared wrongly.
    is_comparable = not was_judged or bool(own and judged_on and own.is_that_of(judged_on))
    row = ArmRow(
        arm,
        statuses,
        _spreads([run.best() for run in runs if run.status == "finished"]),
        None,
        own.windows if own else 0,
        _chance(runs) if own else {},
        is_comparable,
    )
    return replace(row, change=_change(arm, results)) if _differs(row) else row


def _change(arm: str, results: Results) -> Spread | None:
    found = [difference(arm, seed, results) for name, seed in results if name == arm]
    return Spread.of([each for each in found if isinstance(each, float)])


def _spreads(runs: Sequence[Mapping[str, float]]) -> dict[str, Spread | None]:
    return {name: Spread.of([run[name] for run in runs if name in run]) for name in METRICS}


def _chance(runs: Sequence[RunResult]) -> dict[str, float]:
    """What a random ranking earns where these runs were judged; all of one gallery."""
    names = {name: name.replace("val/", "val/chance_") for name in METRICS}
    seen = next((found for run in runs if (found := run.best() or run.untrained())), {})
    return {name: seen[chance] for name, chance in names.items() if chance in seen}
