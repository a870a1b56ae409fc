"""The rule by which a study decides, as it is written into its record before its first trial."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

METRIC = "val/recall_mean"
"""What every study is decided by: the mean of recall@1, 5 and 10, both ways."""

ALPHA = 0.05
DECIDES_FROM = 6
"""Pairs of seeds below which no sign-flip test can reach 0.05: 2 / 2^5 is 0.0625."""

Seeds = tuple[int, ...]


class Rule(BaseModel):
    """How a study's arms are judged; docs/verdicts.md says what each part is for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    metric: str = METRIC
    family: tuple[str, ...]
    """The arms that are compared with the base; Holm's correction is over all of them."""

    rope: PositiveFloat
    """Differences smaller than this do not matter: half the region of practical equivalence."""

    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = ALPHA
    rounds: tuple[Seeds, ...]
    """The seeds, by when they were asked for: those of a later round were added after a look."""

    most: int | None = None
    """Seeds that are added at most until every arm is decided; None where none are added so."""

    joined: tuple[str, ...] = ()
    """Arms that were added after trials had begun."""

    written: str = ""
    """When, in UTC; empty where it was never written."""

    is_late: bool = False
    """Whether trials had begun before it was written."""

    @property
    def seeds(self) -> Seeds:
        """All seeds, in the order in which they were asked for."""
        return tuple(seed for each in self.rounds for seed in each)

    @property
    def looks(self) -> int:
        """How often the numbers could have decided so far."""
        return self.looks_of(self.seeds)

    def looks_of(self, seeds: Collection[int]) -> int:
        """How often they could about an arm with these seeds: rounds that ended with six of them,
        up to the last that gave it any."""
        count, looks = 0, 0
        for each in self.rounds:
            new = sum(seed in seeds for seed in each)
            count += new
            looks += bool(new) and count >= DECIDES_FROM
        return looks

    @property
    def is_sequential(self) -> bool:
        """Whether seeds are, or were, added with their numbers in sight."""
        return self.most is not None or self.looks > 1

    def renamed(self, names: Mapping[str, str]) -> "Rule":
        """The rule with arms under other names."""
        return self.model_copy(
            update={
                "family": tuple(names.get(arm, arm) for arm in self.family),
                "joined": tuple(names.get(arm, arm) for arm in self.joined),
            }
        )

    def extended(self, arms: Sequence[str], seeds: Sequence[int]) -> "Rule":
        """The rule with arms and seeds that came later, told apart from those of before."""
        new_arms = tuple(arm for arm in arms if arm not in self.family)
        new_seeds = tuple(seed for seed in seeds if seed not in self.seeds)
        return self.model_copy(
            update={
                "family": (*self.family, *new_arms),
                "joined": (*self.joined, *new_arms),
                "rounds": (*self.rounds, new_seeds) if new_seeds else self.rounds,
            }
        )


def new_rule(
    family: Sequence[str],
    seeds: Sequence[int],
    rope: float,
    *,
    most: int | None = None,
    is_late: bool = False,
) -> Rule:
    """The rule of a study, as of now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rounds = (tuple(seeds),)
    return Rule(
        family=tuple(family), rope=rope, rounds=rounds, most=most, written=now, is_late=is_late
    )


def assumed_rule(family: Sequence[str], seeds: Sequence[int], rope: float = 0.01) -> Rule:
    """The rule of a study that wrote none, from before there were any."""
    return Rule(family=tuple(family), rope=rope, rounds=(tuple(seeds),), is_late=True)
