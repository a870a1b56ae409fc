"""What featurizers take from training windows: which codes have columns, and how far parts spread.

Kept apart from the windows, so that those of another log are made into vectors alike.
"""

# E events, R events of windows (one that lies in two windows counts twice)

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from casas_ray.evals.features.seen import Ints, SeenWindows

UNKNOWN = (1 << 20) - 1
"""The code of a sensor or a state that nobody knows; every known one has a smaller code."""

_WIDE = 1 << 20
_MOST_TRANSITIONS = 64


class Columns(NamedTuple):
    """The codes that features have columns for, sorted."""

    sensor: Ints
    state: Ints
    pair: Ints
    """A sensor and its state, as `pair_E` codes them."""

    transition: Ints
    """A sensor and the next other one, the most frequent only, as `transition_R` codes them."""


@dataclass(frozen=True)
class Fitted:
    """What was taken from training windows."""

    columns: Columns
    spreads: Mapping[str, float] = field(default_factory=dict)
    """By part of joined features."""


def columns_seen(windows: SeenWindows, train: Ints) -> Columns:
    """The columns that these training windows give."""
    window_R, event_R = windows.event_rows
    in_training_N = np.zeros(len(windows), dtype=bool)
    in_training_N[train] = True
    in_training_R = in_training_N[window_R]
    event_T = event_R[in_training_R]
    codes_R = transition_R(windows)
    codes, often = np.unique(codes_R[in_training_R & (codes_R >= 0)], return_counts=True)
    return Columns(
        np.unique(windows.sensor_E[event_T]),
        np.unique(windows.state_E[event_T]),
        np.unique(pair_E(windows)[event_T]),
        np.sort(codes[np.argsort(-often, kind="stable")[:_MOST_TRANSITIONS]]),
    )


def pair_E(windows: SeenWindows) -> Ints:
    """For each event a code of its sensor and state together."""
    return windows.sensor_E * _WIDE + windows.state_E


def transition_R(windows: SeenWindows) -> Ints:
    """For each event of a window a code of its sensor and the next other one's; -1 where the window
    ends, or the next event is the same sensor's."""
    window_R, event_R = windows.event_rows
    sensor_R = windows.sensor_E[event_R]
    code_R = np.full(len(sensor_R), -1, dtype=np.int64)
    code_R[:-1] = sensor_R[:-1] * _WIDE + sensor_R[1:]
    code_R[:-1][(np.diff(window_R) != 0) | (np.diff(sensor_R) == 0)] = -1
    return code_R
