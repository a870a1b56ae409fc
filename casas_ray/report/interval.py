"""Student's t interval of a mean, without scipy: plans and tables are to be there at once."""

import functools
import math
import statistics
from collections.abc import Sequence


def t_interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """The interval of the mean that covers it with probability `level`; None for one value."""
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    half = statistics.stdev(values) * half_width(len(values), level)
    return mean - half, mean + half


def half_width(count: int, level: float) -> float:
    """Half of the t interval of so many values, in their standard deviations."""
    return t_quantile((1.0 + level) / 2.0, count - 1) / math.sqrt(count)


@functools.cache
def t_quantile(probability: float, freedom: int) -> float:
    """The point below which Student's t lies with this probability, of 0.5 or more."""
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < probability:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2.0
        low, high = (middle, high) if _t_below(middle, freedom) < probability else (low, middle)
    return high


def _t_below(t: float, freedom: int) -> float:
    """P(T < t) for t of 0 or more: the finite series for whole degrees of freedom (Abramowitz and
    Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else 1.0
    total = 0.0
    for power in range(1 + is_odd, freedom, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    two_sided = math.sin(angle) * total
    if is_odd:
        two_sided = 2.0 / math.pi * (angle + two_sided)
    return 0.5 + two_sided / 2.0
