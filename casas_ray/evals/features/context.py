"""Features made by hand of the events before and after a window, as far as it may look.

The first windows of a stretch of days have seen nothing: their memory is empty, and says so as if
nothing had happened for a day.
"""

# N windows, S sensors, P sensors and states, D rates of decay

from dataclasses import dataclass

import numpy as np

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.fitted import pair_E
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.features.window_alone import indices_in

DECAY_MINUTES = (2.0, 15.0, 60.0)
_LONGEST_S = US_PER_DAY / US_PER_SECOND


@dataclass(frozen=True)
class _Memory:
    """The events that each window looks back on, in the order in which time comes towards it.

    The future is a past of which time runs backwards.
    """

    time_us_E: Ints
    here_N: Ints
    """For each window the event after the last one that it looks back on."""

    reach_N: Ints
    """For each window the first event that it looks back on."""

    now_us_N: Ints
    """The time that it looks back from."""


def last_fired(windows: SeenWindows, fold: Fold) -> Vectors:
    """For each sensor the logarithm of the seconds since it last said something, and which state it
    said."""
    return _last(windows, fold, _past(windows, fold), windows.sensor_E, pair_E(windows))


def decayed(windows: SeenWindows, fold: Fold) -> Vectors:
    """Events before the window by sensor and state, each counting less by the time passed since:
    e times less in 2, 15 and 60 minutes."""
    return _decayed(windows, fold, _past(windows, fold), pair_E(windows))


def next_fired(windows: SeenWindows, fold: Fold) -> Vectors:
    """As `last_fired`, of the events after the window."""
    reverse = slice(None, None, -1)
    sensor_E, pairs_E = windows.sensor_E[reverse], pair_E(windows)[reverse]
    return _last(windows, fold, _future(windows, fold), sensor_E, pairs_E)


def decayed_ahead(windows: SeenWindows, fold: Fold) -> Vectors:
    """As `decayed`, of the events after the window."""
    return _decayed(windows, fold, _future(windows, fold), pair_E(windows)[::-1])


def _past(windows: SeenWindows, fold: Fold) -> _Memory:
    return _Memory(windows.time_us_E, windows.ranges.first, fold.reach_first_N, windows.start_us_N)


def _future(windows: SeenWindows, fold: Fold) -> _Memory:
    last = len(windows.time_us_E)
    return _Memory(
        -windows.time_us_E[::-1],
        last - windows.ranges.after,
        last - fold.reach_after_N,
        -windows.end_us_N,
    )


def _last(
    windows: SeenWindows, fold: Fold, memory: _Memory, sensor_E: Ints, pairs_E: Ints
) -> Vectors:
    known = fold.columns(windows)
    sensors, pairs = known.sensor, known.pair
    since_NS = np.full((len(windows), len(sensors)), np.log1p(_LONGEST_S))
    said_NP = np.zeros((len(windows), len(pairs) + 1))
    for column, sensor in enumerate(sensors.tolist()):
        fired = np.flatnonzero(sensor_E == sensor)
        index_N = np.searchsorted(fired, memory.here_N) - 1
        event_N = fired[np.maximum(index_N, 0)]
        seen = np.flatnonzero((index_N >= 0) & (event_N >= memory.reach_N))
        passed = (memory.now_us_N[seen] - memory.time_us_E[event_N[seen]]) / US_PER_SECOND
        since_NS[seen, column] = np.log1p(np.minimum(passed, _LONGEST_S))
        said_NP[seen, indices_in(pairs, pairs_E[event_N[seen]])] = 1.0
    return np.concatenate([since_NS, said_NP[:, :-1]], axis=1)


def _decayed(windows: SeenWindows, fold: Fold, memory: _Memory, pairs_E: Ints) -> Vectors:
    pairs = fold.columns(windows).pair
    column_E = indices_in(pairs, pairs_E)
    order = np.lexsort((memory.here_N, memory.reach_N))
    parts = [_sums(memory, order, column_E, len(pairs), minutes) for minutes in DECAY_MINUTES]
    return np.log1p(np.concatenate(parts, axis=1))


def _sums(memory: _Memory, order: Ints, column_E: Ints, columns: int, minutes: float) -> Vectors:
    """N x P: what the events looked back on weigh. Each window goes on from the one before it."""
    per_us = 1.0 / (minutes * 60 * US_PER_SECOND)
    found_NP = np.zeros((len(order), columns))
    weight_P = np.zeros(columns + 1)
    reach, here, now = -1, 0, 0
    for row in order.tolist():
        if memory.reach_N[row] != reach:  # another stretch of days: nothing is known there
            reach = here = int(memory.reach_N[row])
            weight_P = np.zeros(columns + 1)
            now = int(memory.now_us_N[row])
        until, then = int(memory.here_N[row]), int(memory.now_us_N[row])
        weight_P = weight_P * np.exp((now - then) * per_us)
        fresh = slice(here, max(here, until))
        weights = np.exp((memory.time_us_E[fresh] - then) * per_us)
        weight_P += np.bincount(column_E[fresh], weights, minlength=columns + 1)
        found_NP[row] = weight_P[:columns]
        here, now = max(here, until), then
    return found_NP
