"""Tests of paired differences that assume nothing but that a sign is as likely as the other.

scipy takes a second to import, so it is imported where it is used.
"""

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIGITS = 12
ENUMERATED = 14
"""Pairs of which every flip of signs is looked at; of more pairs, as many flips are drawn."""


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that the sign-flip test of so many pairs can reach."""
    return min(1.0, 2.0 / 2**pairs)


def arms_that_can_pass(pairs: int, alpha: float) -> int:
    """How many arms Holm's correction can let pass at once, were each as clear as can be."""
    return int(alpha / smallest_p(pairs))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p of the mean difference among all 2^n flips of the differences' signs.

    That is exact where the differences are symmetric about 0, whatever their distribution.
    """
    import numpy as np
    from scipy.stats import permutation_test

    found = np.asarray(differences, float)
    largest = np.abs(found).max(initial=0.0) or 1.0

    # Rounded: flips of one mean but for the last bits are as far out as each other, also at 0,
    # where scipy, which compares relatively, takes what rounding left for a difference.
    def mean(values: "NDArray[np.float64]", axis: int) -> "NDArray[np.float64]":
        return np.round(np.mean(values / largest, axis=axis), _DIGITS)

    # For one sample, scipy's permutations of kind `samples` flip the sign of each observation.
    test = permutation_test(
        (found,),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=1 << ENUMERATED,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p of each of a family: no more than alpha of them where it may pass."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


@functools.cache
def e_value(wins: int, losses: int) -> float:
    """The evidence of so many signs against a fair coin: 2^n / ((n + 1) C(n, wins)).

    It is a likelihood ratio, averaged over all coins. Whoever looks after every pair sees it reach
    1 / alpha, ever, with probability alpha at most when the coin is fair.
    """
    pairs = wins + losses
    return 2**pairs / ((pairs + 1) * math.comb(pairs, wins))


def signs(differences: Sequence[float]) -> tuple[int, int]:
    """Wins and losses; a difference of exactly 0 is neither."""
    wins = [each for each in differences if each > 0]
    losses = [each for each in differences if each < 0]
    return len(wins), len(losses)
