"""How often the rule of verdicts is wrong: studies whose truth is known, decided by thousands."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from casas_ray.records.rule import Rule, new_rule
from casas_ray.report.decision import Decision, decide
from casas_ray.report.pairs import Pairs

STUDIES = 2000
STD = 0.02
"""Of a training's metric over seeds, in the unit of recall: about what quick studies have."""


def share(
    verdicts: Sequence[str],
    *,
    arms: int,
    pairs: int,
    effect: float = 0.0,
    std: float = STD,
    noise: str = "normal",
    studies: int = STUDIES,
    seed: int = 0,
) -> float:
    """The share of studies in which some arm is given one of these verdicts; all arms differ from
    the base by `effect`, and share the base's trainings as real arms do."""
    rule = new_rule([f"arm{index}" for index in range(arms)], range(pairs), 0.01)
    rng = np.random.default_rng([seed, arms, pairs])
    found = 0
    for _ in range(studies):
        values = _trainings(rng, arms + 1, pairs, std, noise)
        found += _is_among(decide(rule, _pairs(rule, values, effect)), verdicts)
    return found / studies


def share_by_looking(
    verdicts: Sequence[str],
    *,
    arms: int,
    first: int = 6,
    most: int = 12,
    is_planned: bool = True,
    effect: float = 0.0,
    std: float = STD,
    noise: str = "normal",
    studies: int = STUDIES,
    seed: int = 0,
) -> float:
    """As `share`, of studies that are looked at after the first seeds and after every two more, and
    stopped as soon as an arm is given one of the verdicts. Where that was not planned, the first
    look is by the test."""
    rng = np.random.default_rng([seed, arms, most])
    found = 0
    for _ in range(studies):
        values = _trainings(rng, arms + 1, most, std, noise)
        rule = new_rule(
            [f"arm{index}" for index in range(arms)],
            range(first),
            0.01,
            most=most if is_planned else None,
        )
        found += _found_by_looking(verdicts, rule, values, effect)
    return found / studies


def _found_by_looking(
    verdicts: Sequence[str], rule: Rule, values: np.ndarray, effect: float
) -> bool:
    for count in range(len(rule.seeds), values.shape[1] + 1, 2):
        rule = rule.extended(rule.family, range(count))
        if _is_among(decide(rule, _pairs(rule, values[:, :count], effect)), verdicts):
            return True
    return False


def _trainings(
    rng: np.random.Generator, arms: int, pairs: int, std: float, noise: str
) -> np.ndarray:
    """Metrics of trainings, an arm a row; the base is the first."""
    size = (arms, pairs)
    if noise == "heavy":  # now and then a training goes astray
        astray = rng.random(size) < 0.1
        return rng.normal(0.0, 1.0, size) * np.where(astray, 6.0 * std, std)
    if noise == "few windows":  # recall among 100 windows moves in steps of a point
        return np.round(rng.normal(0.0, std, size), 2)
    return rng.normal(0.0, std, size)


def _pairs(rule: Rule, values: np.ndarray, effect: float) -> dict[str, Pairs]:
    base, others = values[0], values[1:]
    return {
        arm: Pairs(dict(enumerate((row - base + effect).tolist())))
        for arm, row in zip(rule.family, others, strict=True)
    }


def _is_among(decided: Mapping[str, Decision], verdicts: Sequence[str]) -> bool:
    return any(one.verdict in verdicts for one in decided.values())


def measure() -> Iterator[tuple[str, float]]:
    """Each rule on studies whose truth it should find, or should not contradict."""
    wrong = ("better", "worse")
    for noise in ("normal", "heavy", "few windows"):
        for arms, pairs in ((1, 6), (4, 8)):
            got = share(wrong, arms=arms, pairs=pairs, noise=noise)
            yield f"{noise}, {arms} arms, {pairs} pairs: better or worse", got
        for arms in (1, 4):
            got = share_by_looking(wrong, arms=arms, noise=noise)
            yield f"{noise}, {arms} arms, 6 to 12 pairs by looking: better or worse", got
            got = share_by_looking(wrong, arms=arms, noise=noise, first=8, is_planned=False)
            yield f"{noise}, {arms} arms, 8 pairs, then by looking: better or worse", got
        alike = ("no difference that matters",)
        got = share(alike, arms=1, pairs=6, effect=0.01, std=0.005, noise=noise)
        yield f"{noise}, 1 arm, 6 pairs, a whole point apart: no difference", got
        got = share_by_looking(alike, arms=1, effect=0.01, std=0.005, noise=noise)
        yield f"{noise}, 1 arm, by looking, a whole point apart: no difference", got
        got = share(("looks better", "looks worse"), arms=4, pairs=3, noise=noise)
        yield f"{noise}, 4 arms, 3 pairs: looks better or worse", got


if __name__ == "__main__":
    for what, found in measure():
        print(f"{found:6.1%}  {what}", flush=True)
