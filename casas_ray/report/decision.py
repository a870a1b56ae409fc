"""What a study's pairs of seeds decide about its arms, by the rule that was written before."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from casas_ray.records.rule import DECIDES_FROM, Rule
from casas_ray.report.exact import e_value, holm, sign_flip_p, signs, smallest_p
from casas_ray.report.interval import t_interval
from casas_ray.report.more_seeds import MoreSeeds, more_seeds
from casas_ray.report.pairs import Pairs

Word = Literal[
    "better",
    "worse",
    "no difference that matters",
    "looks better",
    "looks worse",
    "cannot decide",
]
Interval = tuple[float, float]

DECIDED: tuple[Word, ...] = ("better", "worse", "no difference that matters")


@dataclass(frozen=True)
class Decision:
    """The verdict on one arm, with all that it was drawn from."""

    verdict: Word
    pairs: Pairs
    smallest_p: float
    """The smallest p that so many pairs can reach; None of an arm can be smaller."""

    effect: float | None = None
    """The mean difference from the base; None without a pair."""

    interval: Interval | None = None
    """The 95 % t interval of the effect; None with fewer than two pairs."""

    inner: Interval | None = None
    """The interval that lies inside the region of equivalence where no difference matters: of
    90 %, and wider where seeds were added after a look."""

    p: float | None = None
    """Of the exact sign-flip test; None where it is not asked."""

    holm_p: float | None = None
    """The same, corrected for the family."""

    evidence: float | None = None
    """The e-value, where seeds are added with numbers in sight."""

    more: MoreSeeds | None = None
    """How many more seeds would decide; None where it is decided, trainings are still to come,
    there is no spread, or it was not asked (`foreseen`)."""

    @property
    def is_decided(self) -> bool:
        """Whether more seeds are of no use."""
        return self.verdict in DECIDED


def decide(rule: Rule, arms: Mapping[str, Pairs]) -> dict[str, Decision]:
    """The verdict on every arm, by its pairs.

    An arm of the family that has no pair counts in the correction nevertheless: what was declared
    stays declared.
    """
    seen = {arm: _measured(rule, pairs) for arm, pairs in arms.items()}
    family = list(dict.fromkeys([*rule.family, *arms]))
    tested = {arm: one.p for arm, one in seen.items() if one.p is not None}
    # What cannot be tested has p = 1, as one that was tested and showed nothing.
    corrected = dict(zip(family, holm([tested.get(arm, 1.0) for arm in family]), strict=True))
    return {
        arm: _decided(rule, replace(one, holm_p=corrected[arm] if arm in tested else None), family)
        for arm, one in seen.items()
    }


def _measured(rule: Rule, pairs: Pairs) -> Decision:
    values, count = pairs.differences, len(pairs.differences)
    blank = Decision("cannot decide", pairs, smallest_p(count))
    if not values:
        return blank
    tested = count >= DECIDES_FROM
    return replace(
        blank,
        effect=statistics.fmean(values),
        interval=t_interval(values, 1.0 - rule.alpha),
        inner=t_interval(values, 1.0 - 2.0 * _equivalence_alpha(rule, pairs)),
        p=sign_flip_p(values) if tested and not rule.is_sequential else None,
        evidence=e_value(*signs(values)) if rule.is_sequential else None,
    )


def _equivalence_alpha(rule: Rule, pairs: Pairs) -> float:
    """The error that this look at equivalence may make; over all looks, alpha is spent."""
    if not rule.is_sequential:
        return rule.alpha
    look = max(1, rule.looks_of([*pairs.by_seed, *pairs.unpaired]))
    return rule.alpha / (look * (look + 1))  # 1/2 + 1/6 + 1/12 + ... = 1


def _decided(rule: Rule, seen: Decision, family: Sequence[str]) -> Decision:
    count = len(seen.pairs.differences)
    if seen.effect is None or seen.interval is None or seen.inner is None:
        return seen
    side = _side(seen.interval)
    if count < DECIDES_FROM:
        words: dict[int, Word] = {1: "looks better", -1: "looks worse", 0: "cannot decide"}
        verdict = words[side]
    # First: a difference that is certain and too small to matter does not matter.
    elif max(abs(end) for end in seen.inner) < rule.rope:
        verdict = "no difference that matters"
    else:
        verdict = _of_sides(rule, seen, side, len(family))
    return replace(seen, verdict=verdict)


def foreseen(rule: Rule, decided: Mapping[str, Decision]) -> dict[str, Decision]:
    """The decisions, with how many more seeds would decide those that are open."""
    family = len({*rule.family, *decided})
    return {
        arm: one
        if one.is_decided or one.pairs.is_coming
        else replace(one, more=more_seeds(rule, one.pairs.differences, family))
        for arm, one in decided.items()
    }


def _of_sides(rule: Rule, seen: Decision, side: int, family: int) -> Word:
    if rule.is_sequential:
        is_clear = (seen.evidence or 0.0) >= family / rule.alpha
        side = _side_of_signs(seen)
    else:
        is_clear = seen.holm_p is not None and seen.holm_p <= rule.alpha
    if not is_clear or not side:
        return "cannot decide"
    return "better" if side > 0 else "worse"


def _side_of_signs(seen: Decision) -> int:
    """The side of most signs; 0 where the mean lies on the other."""
    wins, losses = signs(seen.pairs.differences)
    effect = seen.effect or 0.0
    return (wins > losses and effect > 0) - (wins < losses and effect < 0)


def _side(interval: Interval) -> int:
    """1 where the interval lies above 0, -1 below, 0 where it holds it."""
    low, high = interval
    return (low > 0) - (high < 0)


def as_json(one: Decision) -> dict[str, object]:
    """A decision as JSON can hold it."""
    return {
        "verdict": one.verdict,
        "effect": one.effect,
        "interval_95": one.interval and list(one.interval),
        "interval_for_no_difference": one.inner and list(one.inner),
        "pairs": len(one.pairs.differences),
        "unpaired": {str(seed): why for seed, why in one.pairs.unpaired.items()},
        "p": one.p,
        "p_holm": one.holm_p,
        "smallest_p": one.smallest_p,
        "e_value": one.evidence,
        "more_seeds": one.more and {"likely": one.more.likely, "careful": one.more.careful},
    }
