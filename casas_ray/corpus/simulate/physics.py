"""What sensors make of movements: hold times, missed and false firings, clocks that wander."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

_HOLD_SECONDS = 1.6
"""A motion sensor goes OFF about so long after the last movement it saw."""

_HOLD_SPREAD = 0.4
_MISSED = 0.03
"""Share of movements that a sensor does not see."""

_FALSE_A_DAY = 0.3
"""Firings of a motion sensor that nobody caused."""

_JITTER_SECONDS = 0.02
"""Standard deviation of a stamp; lines may come a little out of order."""

_DOOR_SECONDS = 6.0
_TEMPERATURE_STEP = 0.5
_TEMPERATURE_EVERY = 60.0


class Movement(NamedTuple):
    """Somebody moves in front of a sensor, in seconds since the first midnight."""

    second: float
    sensor: str


class Line(NamedTuple):
    """One line of the log to be."""

    second: float
    sensor: str
    state: str


def motion_lines(
    sensor: str, seconds: Sequence[float], days: int, rng: np.random.Generator
) -> Iterator[Line]:
    """ON and OFF of one motion sensor; a movement while it is ON keeps it ON."""
    # The order of draws is part of the log: another order is another home under the same seed.
    moved = np.asarray(seconds, dtype=np.float64)
    sensed = moved[rng.random(len(moved)) >= _MISSED]
    false = rng.uniform(0.0, 86_400.0 * days, size=rng.poisson(_FALSE_A_DAY * days))
    firings = np.sort(np.concatenate([sensed, false]))
    holds = _HOLD_SECONDS * np.exp(_HOLD_SPREAD * rng.normal(size=len(firings)))
    off = -1.0
    on = -1.0
    for second, hold in zip(firings.tolist(), holds.tolist(), strict=True):
        if second > off:
            if on >= 0.0:
                yield Line(on, sensor, "ON")
                yield Line(off, sensor, "OFF")
            on = second
        off = max(off, second + hold)
    if on >= 0.0:
        yield Line(on, sensor, "ON")
        yield Line(off, sensor, "OFF")


def door_lines(sensor: str, seconds: Iterable[float], rng: np.random.Generator) -> Iterator[Line]:
    """OPEN and CLOSE of a door each time somebody goes through."""
    for second in seconds:
        yield Line(second, sensor, "OPEN")
        yield Line(second + _DOOR_SECONDS * float(np.exp(0.4 * rng.normal())), sensor, "CLOSE")


def temperature_lines(sensor: str, days: int, rng: np.random.Generator) -> Iterator[Line]:
    """The readings of a temperature sensor: one for each change of half a degree Celsius."""
    seconds = np.arange(0.0, 86_400.0 * days, _TEMPERATURE_EVERY)
    daily = 21.5 + 1.5 * np.sin(2 * np.pi * (seconds / 86_400.0 - 0.4))
    drift = np.cumsum(rng.normal(scale=0.02, size=len(seconds)))
    degrees = daily + drift - np.linspace(0.0, drift[-1], len(seconds))
    steps = np.round((degrees + rng.normal(scale=0.08, size=len(seconds))) / _TEMPERATURE_STEP)
    for index in np.flatnonzero(np.diff(steps, prepend=steps[0] - 1)).tolist():
        yield Line(float(seconds[index]), sensor, f"{steps[index] * _TEMPERATURE_STEP:g}")


def with_jitter(lines: Sequence[Line], rng: np.random.Generator) -> list[Line]:
    """The lines in the order in which they were written, with stamps a little off."""
    ordered = sorted(lines, key=lambda line: line.second)
    off = rng.normal(scale=_JITTER_SECONDS, size=len(ordered)).tolist()
    return [
        line._replace(second=max(0.0, line.second + shift))
        for line, shift in zip(ordered, off, strict=True)
    ]
