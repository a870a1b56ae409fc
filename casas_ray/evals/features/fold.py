"""Which windows are fitted on and which are judged, and what each of them may read."""

# N windows, E events of the set

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.evals.features.fitted import Columns, Fitted, columns_seen
from casas_ray.evals.features.seen import Ints, SeenWindows

TRAIN, JUDGED, OUTSIDE = 0, 1, -1
"""Sides of a fold."""


@dataclass(frozen=True)
class Fold:
    """One way to deal days to fitting and judging."""

    name: str
    train: Ints
    """Indices of the windows that are fitted on."""

    judged: Ints

    reach_first_N: Ints
    """For each window the first event that may be read for it."""

    reach_after_N: Ints
    """And the one after the last."""

    fitted: Fitted | None = None
    """What was taken from training windows that are not at hand; None takes it from `train`."""

    def columns(self, windows: SeenWindows) -> Columns:
        """The codes that features have columns for."""
        return self.fitted.columns if self.fitted else columns_seen(windows, self.train)


def fold_of(windows: SeenWindows, side_E: Ints, name: str) -> Fold:
    """The fold in which each event is of TRAIN, JUDGED or OUTSIDE.

    A window may read the events around it until one of another side or home; one that has events of
    two sides is neither fitted on nor judged.
    """
    first_N, last_N = windows.ranges.first, windows.ranges.after - 1
    reach_first_N, reach_after_N = _reach(windows, side_E)
    whole_N = last_N < reach_after_N
    side_N = np.where(whole_N, side_E[first_N], OUTSIDE)
    return Fold(
        name,
        np.flatnonzero(side_N == TRAIN),
        np.flatnonzero(side_N == JUDGED),
        reach_first_N,
        np.maximum(reach_after_N, windows.ranges.after),
    )


def _reach(windows: SeenWindows, side_E: Ints) -> tuple[Ints, Ints]:
    first_N, after_N = windows.ranges.first, windows.ranges.after
    if not windows.has_context:
        return first_N, after_N
    home_E = windows.home_E
    changes: NDArray[np.bool_] = (np.diff(side_E) != 0) | (np.diff(home_E) != 0)
    edges = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(side_E)]])
    run_N = np.searchsorted(edges, first_N, side="right") - 1
    return edges[run_N], edges[run_N + 1]
