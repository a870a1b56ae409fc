"""Windows grouped without labels, on training days; later days only take the groups there are."""

# N windows, T training windows, W width of a vector, K clusters

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.features.featurizer import Featurizer, Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.tuned import require_scikit_learn, standardised, undisturbed

Method = Literal["kmeans", "agglomerative", "hdbscan", "gmm"]

NOISE = -1
"""Of a window that belongs to no dense group; only HDBSCAN knows it."""

_DIMENSIONS = 16
_MOST_AGGLOMERATED = 8000
_NEAREST = 5
_AUTO = (4, 6, 8, 10, 12, 15, 20, 25, 30)
_SILHOUETTE_OF = 2000
_AGREEING_SEEDS = 5

Model = Any  # Any: scikit-learn has no types


@dataclass(frozen=True)
class Clusters:
    """Clusters that were fitted on training windows, and the cluster of every window."""

    method: Method
    k: int
    """How many there are, noise not counted."""

    cluster_N: Ints
    """Of every window of the set's splits; fitted for training windows, taken for others."""

    centre_K: Ints
    """For each cluster the training window nearest to its mean."""

    reduced_NW: Vectors
    """What was grouped: standardised where the features want it, in 16 principal axes at most."""

    curve: Mapping[int, float]
    """Where k was to be found: the silhouette of training windows by k."""


def cluster(
    windows: SeenWindows,
    fold: Fold,
    featurizer: Featurizer,
    *,
    method: Method = "kmeans",
    k: int | None = 20,
    seed: int = 0,
) -> Clusters:
    """The clusters of a fold's training windows; no label is read.

    `k` of None takes the number with the best silhouette. HDBSCAN finds its own.

    Raises:
        DataError: there are fewer training windows than clusters, or no dense group is found.
        SettingsError: k is given to HDBSCAN.
        SetupError: scikit-learn is not installed.
    """
    require_scikit_learn()
    with undisturbed():
        reduced_NW = _reduced(featurizer.make(windows, fold), fold, scale=not featurizer.one_scale)
        return _grouped(reduced_NW, fold, method=method, k=k, seed=seed)


def _grouped(
    reduced_NW: Vectors, fold: Fold, *, method: Method, k: int | None, seed: int
) -> Clusters:
    train_TW, curve = reduced_NW[fold.train], {}
    wanted = min(_AUTO) if k is None else k
    if len(train_TW) < max(2, wanted):
        raise DataError(
            f"{len(train_TW)} training windows are fewer than {wanted} clusters.",
            hint="ask for fewer with --k, or bring more days.",
        )
    if k is None and method != "hdbscan":
        curve = _silhouettes(train_TW, method, seed)
        k = max(curve, key=lambda each: curve[each])
    cluster_N = _METHODS[method](reduced_NW, fold.train, k or 0, seed)
    names = np.unique(cluster_N[fold.train])
    found = len(names[names != NOISE])
    if not found:
        raise DataError(
            "HDBSCAN finds no dense group: every window is noise.", hint="--method kmeans finds k."
        )
    return Clusters(
        method, found, cluster_N, _centres(reduced_NW, cluster_N, fold.train), reduced_NW, curve
    )


def require_sense(method: Method, k: int | None) -> None:
    """Refuse a number of clusters that a method does not heed.

    Raises:
        SettingsError: it is one.
    """
    if method == "hdbscan" and k is not None:
        raise SettingsError(
            "--k has no effect on HDBSCAN, which finds how many there are.", hint="leave it out."
        )


def agreement(clusters: Clusters, fold: Fold) -> float | None:
    """The mean adjusted Rand index of judged windows between clusterings by five seeds; None for a
    method without chance."""
    from sklearn.metrics import adjusted_rand_score

    if clusters.method not in ("kmeans", "gmm"):
        return None
    seeds = [clusters.cluster_N[fold.judged]]
    with undisturbed():
        for seed in range(1, _AGREEING_SEEDS):
            again = _METHODS[clusters.method](clusters.reduced_NW, fold.train, clusters.k, seed)
            seeds.append(again[fold.judged])
    pairs = [
        adjusted_rand_score(one, other)
        for index, one in enumerate(seeds)
        for other in seeds[index + 1 :]
    ]
    return float(np.mean(pairs))


def _reduced(vectors_NW: Vectors, fold: Fold, *, scale: bool) -> Vectors:
    if scale:
        vectors_NW = standardised(vectors_NW, vectors_NW[fold.train])
    train_TW = vectors_NW[fold.train]
    axes = min(_DIMENSIONS, *train_TW.shape)
    # Not whitened: the axes that vary most are the ones that tell most.
    reduction = _of("decomposition", "PCA")(axes, random_state=0).fit(train_TW)
    return reduction.transform(vectors_NW)


def _centres(reduced_NW: Vectors, cluster_N: Ints, train: Ints) -> Ints:
    centres = []
    for name in np.unique(cluster_N[train]).tolist():
        if name != NOISE:
            rows = train[cluster_N[train] == name]
            apart = np.linalg.norm(reduced_NW[rows] - reduced_NW[rows].mean(axis=0), axis=1)
            centres.append(int(rows[apart.argmin()]))
    return np.array(centres, dtype=np.int64)


def _silhouettes(train_TW: Vectors, method: Method, seed: int) -> dict[int, float]:
    from sklearn.metrics import silhouette_score

    every = np.arange(len(train_TW))
    found = {}
    for k in _AUTO:
        if k >= len(train_TW):
            break
        cluster_T = _METHODS[method](train_TW, every, k, seed)
        if len(np.unique(cluster_T)) > 1:
            found[k] = float(
                silhouette_score(
                    train_TW,
                    cluster_T,
                    sample_size=min(_SILHOUETTE_OF, len(train_TW)),
                    random_state=0,
                )
            )
    if not found:
        raise DataError("all training windows are alike: there is nothing to group.")
    return found


def _kmeans(reduced_NW: Vectors, train: Ints, k: int, seed: int) -> Ints:
    model = _of("cluster", "KMeans")(k, n_init=10, random_state=seed).fit(reduced_NW[train])
    return model.predict(reduced_NW).astype(np.int64)


def _gmm(reduced_NW: Vectors, train: Ints, k: int, seed: int) -> Ints:
    kind = _of("mixture", "GaussianMixture")
    model = kind(k, covariance_type="diag", random_state=seed, reg_covar=1e-4)
    return model.fit(reduced_NW[train]).predict(reduced_NW).astype(np.int64)


def _agglomerative(reduced_NW: Vectors, train: Ints, k: int, seed: int) -> Ints:
    # All pairs of windows are held at once: of more than these, every so many is taken.
    some = train[:: -(-len(train) // _MOST_AGGLOMERATED)]
    model = _of("cluster", "AgglomerativeClustering")(min(k, len(some)))
    return _as_neighbours(reduced_NW, some, model.fit_predict(reduced_NW[some]))


def _hdbscan(reduced_NW: Vectors, train: Ints, k: int, seed: int) -> Ints:
    least = min(max(5, len(train) // 200), len(train))
    model = _of("cluster", "HDBSCAN")(min_cluster_size=least, copy=True)
    return _as_neighbours(reduced_NW, train, model.fit_predict(reduced_NW[train]))


def _as_neighbours(reduced_NW: Vectors, fitted: Ints, cluster_T: Ints) -> Ints:
    """The clusters found, and for all other windows that of most of their five nearest."""
    model = _of("neighbors", "KNeighborsClassifier")(min(_NEAREST, len(fitted)))
    cluster_N = model.fit(reduced_NW[fitted], cluster_T).predict(reduced_NW).astype(np.int64)
    cluster_N[fitted] = cluster_T
    return cluster_N


def _of(module: str, name: str) -> Model:
    """A class of scikit-learn, which takes seconds to import."""
    from importlib import import_module

    return getattr(import_module(f"sklearn.{module}"), name)


_METHODS: Mapping[Method, Callable[[Vectors, Ints, int, int], Ints]] = {
    "kmeans": _kmeans,
    "gmm": _gmm,
    "agglomerative": _agglomerative,
    "hdbscan": _hdbscan,
}
