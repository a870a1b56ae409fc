"""Which windows a person should label first: those in the middle of clusters, and doubtful ones."""

# N windows, T training windows, K clusters, D principal axes

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.errors import DataError
from casas_ray.evals.clusters import NOISE
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.grouping import Grouped, Grouping, group
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.evals.window_facts import WindowFacts

_CLUSTERS = 20


@dataclass(frozen=True)
class ToLabel:
    """A window that a person is asked about."""

    window: str
    start: str
    minutes: float
    rooms: str
    caption: str
    cluster: int
    why: str
    """`middle of cluster 3`, or `between 3 and 5`."""


def first_to_label(run: TrainedRun, *, days: int, most: int) -> list[ToLabel]:
    """The windows of so many training days that tell most when somebody labels them, in order of
    time; no label is read to choose.

    Days are taken one after another, each the one that shows most clusters which those before it
    do not. Of each cluster that they show the window nearest to its middle is asked for, and then
    the windows that lie most nearly between two clusters, `most` in all. None shares events with
    another.

    Raises:
        DataError: there are too few windows.
        SetupError: scikit-learn is not installed.
    """
    prepared = run.data.prepared
    count = min(_CLUSTERS, prepared.manifest["windows"]["train"] // 4)
    if count < 2:
        raise DataError("there are too few training windows to choose from.")
    found = group(prepared, run, Grouping("encoder", k=count))
    near_T, next_T, apart_T2 = _nearest_two(found)
    rows = np.flatnonzero(np.isin(_day_T(found), _days(found, days)))
    # Middles first, the nearest of each cluster; then those between two.
    middles = [
        int(rows[near_T[rows] == name][apart_T2[rows[near_T[rows] == name], 0].argmin()])
        for name in np.unique(near_T[rows]).tolist()
    ]
    ratio_T = apart_T2[:, 0] / np.maximum(apart_T2[:, 1], 1e-12)
    doubtful = rows[np.argsort(-ratio_T[rows], kind="stable")].tolist()
    chosen = _apart(found, [*middles, *doubtful], most)
    facts = WindowFacts.of(prepared, found.windows)
    said = {row: f"middle of cluster {near_T[row]}" for row in middles}
    told = []
    for row in sorted(chosen, key=lambda row: int(found.windows.start_us_N[_at(found, row)])):
        fact = facts.fact(_at(found, row))
        why = said.get(row, f"between {near_T[row]} and {next_T[row]}")
        minutes, rooms = round(fact.seconds / 60, 1), ", ".join(fact.rooms)
        told.append(
            ToLabel(fact.id, fact.start, minutes, rooms, fact.caption, int(near_T[row]), why)
        )
    return told


def _at(found: Grouped, row: int) -> int:
    return int(found.fold.train[row])


def _day_T(found: Grouped) -> Ints:
    return found.windows.day_N[found.fold.train]


def _nearest_two(found: Grouped) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """For each training window the cluster whose middle is nearest and the next one, T each, and
    how far both are, T x 2."""
    clusters, train = found.clusters, found.fold.train
    cluster_T, reduced_TD = clusters.cluster_N[train], clusters.reduced_NW[train]
    names = np.array([name for name in np.unique(cluster_T).tolist() if name != NOISE])
    middle_KD = np.stack([reduced_TD[cluster_T == name].mean(axis=0) for name in names])
    apart_TK = np.linalg.norm(reduced_TD[:, None] - middle_KD[None], axis=2)
    order_TK = np.argsort(apart_TK, axis=1, kind="stable")[:, :2]
    near = names[order_TK]
    return near[:, 0], near[:, 1], np.take_along_axis(apart_TK, order_TK, axis=1)


def _days(found: Grouped, count: int) -> list[int]:
    """So many training days that show most clusters together."""
    day_T, cluster_T = _day_T(found), found.clusters.cluster_N[found.fold.train]
    shown = {day: set(cluster_T[day_T == day].tolist()) for day in np.unique(day_T).tolist()}
    sizes = {day: int((day_T == day).sum()) for day in shown}
    chosen: list[int] = []
    seen: set[int] = set()
    while shown and len(chosen) < count:
        # Of days that show as much, the one with most windows, and then the first.
        best = max(shown, key=lambda day: (len(shown[day] - seen), sizes[day], -day))
        seen |= shown.pop(best)
        chosen.append(best)
    return chosen


def _apart(found: Grouped, ranked: list[int], most: int) -> list[int]:
    """The first of some training windows that share no events with one before."""
    first, after = (
        each[found.fold.train] for each in (found.windows.ranges.first, found.windows.ranges.after)
    )
    chosen: list[int] = []
    for row in ranked:
        held = np.array(chosen, dtype=np.int64)
        if not ((first[held] < after[row]) & (first[row] < after[held])).any():
            chosen.append(row)
            if len(chosen) == most:
                break
    return chosen
