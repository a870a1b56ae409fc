"""What runs earned on held-out days, arm by arm: means and spreads over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from casas_ray.records.run_record import QUICK
from casas_ray.records.verdict import Verdict
from casas_ray.report.table import Spread, plain

COLUMNS = ("trained", "untrained", "sensor counts", "majority")


@dataclass(frozen=True)
class ArmVerdict:
    """The seeds of one recipe."""

    arm: str
    runs: Sequence[str]
    """Their folders."""

    seeds: Sequence[int]
    verdicts: Sequence[Verdict]

    @property
    def columns(self) -> dict[str, dict[str, Spread]]:
        """By model or baseline, its metrics over the seeds."""
        names = [name for name in COLUMNS if name in self.verdicts[0].columns]
        metrics = list(self.verdicts[0].columns["trained"])
        return {name: _over_seeds(self.verdicts, name, metrics) for name in names}

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """Of each seed whose days are more than one."""
        return [verdict.interval for verdict in self.verdicts if verdict.interval]


def _over_seeds(
    verdicts: Sequence[Verdict], name: str, metrics: Sequence[str]
) -> dict[str, Spread]:
    found = [verdict.columns.get(name, {}) for verdict in verdicts]
    spreads = {
        metric: Spread.of([column[metric] for column in found if metric in column])
        for metric in metrics
    }
    return {metric: spread for metric, spread in spreads.items() if spread is not None}


def marked(verdict: Verdict, caveats: Sequence[str]) -> Verdict:
    """The verdict with these caveats too: one of earlier versions may lack `quick`."""
    return replace(verdict, caveats=tuple(dict.fromkeys([*verdict.caveats, *caveats])))


def caveats_of(arms: Sequence[ArmVerdict]) -> tuple[str, ...]:
    """Every caveat of any run."""
    every = (caveat for arm in arms for verdict in arm.verdicts for caveat in verdict.caveats)
    return tuple(dict.fromkeys(every))


def as_json(arms: Sequence[ArmVerdict], days: str) -> dict[str, Any]:  # Any: what JSON holds
    """The arms as JSON can hold them; of one run its verdict, with what it was made from."""
    caveats = list(caveats_of(arms))
    about = {"days": days, "caveats": caveats, "quick": QUICK in caveats}
    if len(arms) == 1 and len(arms[0].runs) == 1:
        (arm,) = arms
        seeds = {"run": arm.runs[0], "seeds": 1, "seed": arm.seeds[0]}
        return {**arm.verdicts[0].as_dict(), **about, **seeds}
    return {
        **about,
        "arms": [
            {
                "arm": arm.arm,
                "seeds": len(arm.seeds),
                "columns": {
                    name: {metric: plain(spread) for metric, spread in metrics.items()}
                    for name, metrics in arm.columns.items()
                },
                "runs": [
                    {"run": run, "seed": seed, **verdict.as_dict()}
                    for run, seed, verdict in zip(arm.runs, arm.seeds, arm.verdicts, strict=True)
                ],
            }
            for arm in arms
        ],
    }
