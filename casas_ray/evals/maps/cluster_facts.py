"""What a person is told of a cluster: when and where it happens, its typical windows and its
neighbours, and which labels its windows have."""

# N windows, K clusters, W width of a vector, V values of a field, C windows of a cluster

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.evals.clusters import NOISE, Clusters
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.window_facts import WindowFacts

_TYPICAL = 3
_NEAREST = 3
_MOST_NAMED = 4
"""Rooms, sensors and labels that are told of a cluster."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """A part of a cluster, beside the same part of the whole home."""

    name: str
    share: float
    times: float
    """How many times the home's own share that is; 0 where the home has none."""


@dataclass(frozen=True)
class ClusterFacts:
    """One cluster, as a person is told of it."""

    cluster: int
    train: int
    """Windows of training days."""

    judged: int
    """Windows of later days."""

    share: float
    """Of all windows."""

    seconds: float
    """The median length of its windows."""

    hours: Sequence[float]
    """The shares of its windows that start in each of 24 hours."""

    weekdays: Sequence[float]
    """The same of the seven days from Monday."""

    rooms: Sequence[Share]
    """Of its events, the rooms that have most."""

    sensors: Sequence[Share]
    sensor_shares: Sequence[float]
    """The share of every sensor, by id."""

    labels: Sequence[Share]
    """Of its windows that somebody labelled."""

    labelled: int
    """How many those are."""

    typical: Sequence[int]
    """Indices of the windows nearest to its middle, each of another day where there are some."""

    nearest: Sequence[tuple[int, float]]
    """The clusters whose middles are nearest, and how far, in mean distances of its own windows."""

    @property
    def purity(self) -> float | None:
        """The share of its labelled windows that have its most frequent label."""
        return self.labels[0].share if self.labels else None


@dataclass(frozen=True)
class Home:
    """The same of all windows, to compare with."""

    hours: Sequence[float]
    weekdays: Sequence[float]
    seconds: float


def home_facts(facts: WindowFacts) -> Home:
    """What is usual in the whole home."""
    every = np.arange(len(facts))
    return Home(
        _parts(facts.hour_N, every, 24),
        _parts(facts.weekday_N, every, 7),
        float(np.median(facts.seconds_N)),
    )


def cluster_facts(facts: WindowFacts, fold: Fold, clusters: Clusters) -> list[ClusterFacts]:
    """A cluster's facts each, those with most windows first; noise is none of them."""
    sides = np.concatenate([fold.train, fold.judged])
    names = np.unique(clusters.cluster_N[sides])
    names = names[names != NOISE]
    middle_KW = np.stack([_middle(clusters, fold, name) for name in names.tolist()])
    told = _Told(facts, fold, clusters, names, middle_KW)
    every = [told.of(index) for index in range(len(names))]
    return sorted(every, key=lambda each: -(each.train + each.judged))


def _middle(clusters: Clusters, fold: Fold, name: int) -> Floats:
    train = fold.train[clusters.cluster_N[fold.train] == name]
    # Agglomeration and HDBSCAN may give later windows alone to a cluster: then theirs.
    rows = train if len(train) else np.flatnonzero(clusters.cluster_N == name)
    return clusters.reduced_NW[rows].mean(axis=0)


class _Told:
    """Columns that the facts of every cluster are read from."""

    def __init__(
        self,
        facts: WindowFacts,
        fold: Fold,
        clusters: Clusters,
        names: Ints,
        middle_KW: Vectors,
    ) -> None:
        self._facts, self._clusters = facts, clusters
        self._names, self._middle_KW = names, middle_KW
        self._train_N = np.zeros(len(facts), dtype=bool)
        self._train_N[fold.train] = True
        self._room_NV, self._sensor_NV = facts.room_NV, facts.sensor_NV
        labels, self._label_N = np.unique(facts.labels, return_inverse=True)
        self._labels: list[str] = labels.tolist()

    def of(self, index: int) -> ClusterFacts:
        facts, name = self._facts, int(self._names[index])
        rows_C = np.flatnonzero(self._clusters.cluster_N == name)
        apart_C = np.linalg.norm(self._clusters.reduced_NW[rows_C] - self._middle_KW[index], axis=1)
        train = int(self._train_N[rows_C].sum())
        sensor_V = self._sensor_NV[rows_C].sum(axis=0)
        labelled_C = rows_C[facts.labels[rows_C] != ""]
        return ClusterFacts(
            name,
            train,
            len(rows_C) - train,
            len(rows_C) / len(facts),
            float(np.median(facts.seconds_N[rows_C])),
            _parts(facts.hour_N, rows_C, 24),
            _parts(facts.weekday_N, rows_C, 7),
            _shares(facts.rooms, self._room_NV[rows_C].sum(axis=0), self._room_NV.sum(axis=0)),
            _shares(facts.sensors, sensor_V, self._sensor_NV.sum(axis=0)),
            (sensor_V / max(1, sensor_V.sum())).tolist(),
            self._label_shares(labelled_C),
            len(labelled_C),
            _typical(facts, rows_C[np.argsort(apart_C, kind="stable")]),
            self._nearest(index, float(apart_C.mean())),
        )

    def _label_shares(self, labelled_C: Ints) -> list[Share]:
        count = len(self._labels)
        every = np.bincount(self._label_N[self._facts.labels != ""], minlength=count)
        return _shares(self._labels, np.bincount(self._label_N[labelled_C], minlength=count), every)

    def _nearest(self, index: int, own: float) -> list[tuple[int, float]]:
        apart_K = np.linalg.norm(self._middle_KW - self._middle_KW[index], axis=1)
        apart_K[index] = np.inf
        order = np.argsort(apart_K, kind="stable")[: min(_NEAREST, len(apart_K) - 1)]
        return [
            (int(self._names[each]), float(apart_K[each]) / max(own, 1e-9))
            for each in order.tolist()
        ]


def _parts(value_N: Ints, rows_C: Ints, values: int) -> list[float]:
    counts = np.bincount(value_N[rows_C], minlength=values)
    return (counts / max(1, len(rows_C))).tolist()


def _shares(names: Sequence[str], count_V: Ints, whole_V: Ints) -> list[Share]:
    share_V, usual_V = count_V / max(1, count_V.sum()), whole_V / max(1, whole_V.sum())
    order = [index for index in np.argsort(-count_V, kind="stable").tolist() if count_V[index]]
    return [
        Share(
            str(names[index]),
            float(share_V[index]),
            float(share_V[index] / usual_V[index]) if usual_V[index] else 0.0,
        )
        for index in order[:_MOST_NAMED]
    ]


def _typical(facts: WindowFacts, nearest_C: Ints) -> list[int]:
    """The first of these, each of a day of its own while there are such."""
    _, first = np.unique(facts.day_N[nearest_C], return_index=True)
    of_other_days = nearest_C[np.sort(first)][:_TYPICAL].tolist()
    more = [index for index in nearest_C[: 2 * _TYPICAL].tolist() if index not in of_other_days]
    return [*of_other_days, *more][:_TYPICAL]
