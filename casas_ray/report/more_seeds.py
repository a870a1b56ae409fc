"""How many seeds would decide about an arm, were its difference and spread what they seem."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casas_ray.records.rule import DECIDES_FROM, Rule
from casas_ray.report.exact import e_value, signs, smallest_p
from casas_ray.report.interval import half_width

if TYPE_CHECKING:
    import numpy as np

# N studies drawn, M seeds added to each

MOST = 100
"""More seeds than these are not counted."""

POWER = 0.8
_STUDIES = 2000
_CAUTION = 0.2
"""The spread may be larger than it seems: its upper bound of 80 % confidence is tried too."""


@dataclass(frozen=True)
class MoreSeeds:
    """Seeds to add for a verdict with a probability of 0.8; None where 100 would not do."""

    likely: int | None
    """Were difference and spread what they seem."""

    careful: int | None
    """Were the spread as large as it may well be, seen from so few pairs."""


def more_seeds(rule: Rule, differences: Sequence[float], family: int) -> MoreSeeds | None:
    """The seeds that would decide about these differences; None without a spread.

    They are added to those seen, drawn from a normal distribution. Where six pairs and more were
    seen already, what is added is judged by the e-value, and so it is here.
    """
    if len(differences) < 2 or not (spread := statistics.stdev(differences)):
        return None
    import numpy as np

    freedom = len(differences) - 1
    chi_square = np.quantile(np.random.default_rng(0).chisquare(freedom, 10 * _STUDIES), _CAUTION)
    worst = spread * float(np.sqrt(freedom / chi_square))
    return MoreSeeds(
        _wanted(rule, differences, spread, family), _wanted(rule, differences, worst, family)
    )


def _wanted(rule: Rule, seen: Sequence[float], std: float, family: int) -> int | None:
    studies = _Studies(seen, std)
    for count in range(max(len(seen) + 1, DECIDES_FROM), len(seen) + MOST + 1):
        if _share_decided(rule, studies, count, family) >= POWER:
            return count - len(seen)
    return None


class _Studies:
    """The pairs seen, with others drawn after them: running means, deviations and signs."""

    def __init__(self, seen: Sequence[float], std: float) -> None:
        import numpy as np

        drawn_NM = np.random.default_rng(0).normal(statistics.fmean(seen), std, (_STUDIES, MOST))
        values_NM = np.concatenate([np.tile(seen, (_STUDIES, 1)), drawn_NM], axis=1)
        counts = np.arange(1, values_NM.shape[1] + 1)
        self.seen = len(seen)
        self.means_NM = values_NM.cumsum(axis=1) / counts
        squares_NM = (values_NM**2).cumsum(axis=1) / counts - self.means_NM**2
        freedom = np.maximum(counts - 1, 1)
        self.stds_NM = np.sqrt(np.maximum(squares_NM, 0.0) * counts / freedom)
        self.wins_NM = (values_NM > 0).cumsum(axis=1)
        self.ties = len(seen) - sum(signs(seen))


def _share_decided(rule: Rule, studies: _Studies, count: int, family: int) -> float:
    import numpy as np

    means, stds = studies.means_NM[:, count - 1], studies.stds_NM[:, count - 1]
    by_looking = rule.is_sequential or studies.seen >= DECIDES_FROM
    look = max(1, rule.looks) + 1  # they are added at once, and seen once
    alpha = rule.alpha / (look * (look + 1)) if by_looking else rule.alpha
    alike = np.abs(means) + stds * half_width(count, 1 - 2 * alpha) < rule.rope
    if by_looking:
        signed = count - studies.ties
        evidence = [e_value(wins, signed - wins) for wins in range(signed + 1)]
        clear = np.array(evidence)[studies.wins_NM[:, count - 1]] >= family / rule.alpha
    else:
        clear = _is_clear(studies, count, rule.alpha / family)
    return float((clear | alike).mean())


def _is_clear(studies: _Studies, count: int, alpha: float) -> "np.ndarray":
    """Whether each study passes Holm's first step, which stands for all of them."""
    import numpy as np

    reached = int(alpha / smallest_p(count)) * smallest_p(count)
    if not reached:
        return np.zeros(_STUDIES, bool)
    # The t test stands for the sign-flip test, at the largest p that the flips can have.
    means, stds = studies.means_NM[:, count - 1], studies.stds_NM[:, count - 1]
    clear = np.abs(means) > stds * half_width(count, 1 - reached)
    if reached == smallest_p(count):  # which only differences of one sign have
        wins = studies.wins_NM[:, count - 1]
        clear = ((wins == 0) | (wins == count)) & (np.abs(means) > stds * half_width(count, 0.95))
    return clear
