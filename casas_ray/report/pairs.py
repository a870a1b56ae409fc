"""An arm's trainings beside the base's of the same seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from casas_ray.records.rule import METRIC
from casas_ray.records.run_result import RunResult
from casas_ray.study import BASE_ARM

Results = Mapping[tuple[str, int], RunResult]
"""A study's runs, by arm and seed."""


_TO_COME = ("not started", "running", "stopped", "missing")


@dataclass(frozen=True)
class Pairs:
    """An arm's differences from the base, seed by seed."""

    by_seed: Mapping[int, float]
    """Differences of the rule's metric, where both trainings of the seed finished."""

    unpaired: Mapping[int, str] = field(default_factory=dict)
    """Seeds without a difference, and why."""

    @property
    def is_coming(self) -> bool:
        """Whether the same command would still give it pairs."""
        return any(why.removeprefix("base ") in _TO_COME for why in self.unpaired.values())

    @property
    def differences(self) -> tuple[float, ...]:
        """In order of seeds asked for."""
        return tuple(self.by_seed.values())


def pairs_of(arm: str, results: Results) -> Pairs:
    """The pairs of an arm; a training that failed or diverged leaves its seed unpaired."""
    found = {seed: difference(arm, seed, results) for name, seed in results if name == arm}
    paired = {
        seed: each
        for seed, each in found.items()
        if isinstance(each, float) and math.isfinite(each)
    }
    unpaired = {
        seed: each if isinstance(each, str) else f"{METRIC} is not finite"
        for seed, each in found.items()
        if isinstance(each, str) or not math.isfinite(each)
    }
    return Pairs(paired, unpaired)


def difference(arm: str, seed: int, results: Results) -> float | str:
    """The arm's main metric less the base's of the same seed; or why there is none.

    Paired by seed: seeds differ more than most arms do, and a difference leaves that out.
    """
    values = []
    for name in (arm, BASE_ARM):
        run = results.get((name, seed))
        status = run.status if run else "not asked for"
        if run is None or status != "finished":
            return status if name == arm else f"base {status}"
        values.append(run.best()[METRIC])
    return values[0] - values[1]
