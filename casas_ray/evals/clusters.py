"""Windows grouped without labels, on training days; later days only take the groups there are."""

# N windows, T training windows, W width of a vector, K clusters

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.cluster_rules import Reduction, Rule
from casas_ray.evals.features.featurizer import Featurizer, Vectors
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.tuned import require_scikit_learn, scale_of, undisturbed

Method = Literal["kmeans", "agglomerative", "hdbscan", "gmm"]

NOISE = -1
"""Of a window that belongs to no dense group; only HDBSCAN knows it."""

_DIMENSIONS = 16
_MOST_AGGLOMERATED = 8000
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

    reduction: Reduction
    rule: Rule
    """By which other windows take a cluster."""


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
        vectors_NW = featurizer.make(windows, fold)
        reduction = _reduction(vectors_NW[fold.train], scale=not featurizer.one_scale)
        return _grouped(vectors_NW, reduction, fold, method=method, k=k, seed=seed)


def _grouped(
    vectors_NW: Vectors,
    reduction: Reduction,
    fold: Fold,
    *,
    method: Method,
    k: int | None,
    seed: int,
) -> Clusters:
    reduced_NW = reduction.of(vectors_NW)
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
    rule, cluster_N = _fitted(reduced_NW, fold.train, method, k or 0, seed)
    names = np.unique(cluster_N[fold.train])
    found = len(names[names != NOISE])
    if not found:
        raise DataError(
            "HDBSCAN finds no dense group: every window is noise.", hint="--method kmeans finds k."
        )
    centre_K = _centres(reduced_NW, cluster_N, fold.train)
    return Clusters(method, found, cluster_N, centre_K, reduced_NW, curve, reduction, rule)


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
            rule, _ = _METHODS[clusters.method](clusters.reduced_NW[fold.train], clusters.k, seed)
            seeds.append(rule.of(clusters.reduced_NW[fold.judged]))
    pairs = [
        adjusted_rand_score(one, other)
        for index, one in enumerate(seeds)
        for other in seeds[index + 1 :]
    ]
    return float(np.mean(pairs))


def _reduction(train_TW: Vectors, *, scale: bool) -> Reduction:
    mean_W, spread_W = scale_of(train_TW)
    scale_W = {"mean": mean_W, "spread": spread_W} if scale else {}
    scaled_TW = Reduction(scale_W).scaled(train_TW)
    # Not whitened: the axes that vary most are the ones that tell most.
    axes = min(_DIMENSIONS, *train_TW.shape)
    found = _of("decomposition", "PCA")(axes, random_state=0).fit(scaled_TW)
    return Reduction({**scale_W, "middle": found.mean_, "axes": found.components_})


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

    found = {}
    for k in _AUTO:
        if k >= len(train_TW):
            break
        _, cluster_T = _fitted(train_TW, np.arange(len(train_TW)), method, k, seed)
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


def _fitted(
    reduced_NW: Vectors, train: Ints, method: Method, k: int, seed: int
) -> tuple[Rule, Ints]:
    """The rule, and the cluster of every window: of those that were grouped, as they were."""
    rule, grouped = _METHODS[method](reduced_NW[train], k, seed)
    cluster_N = rule.of(reduced_NW)
    if rule.kind == "neighbours":
        cluster_N[train[grouped]] = rule.arrays["names"]
    return rule, cluster_N


def _kmeans(train_TW: Vectors, k: int, seed: int) -> tuple[Rule, Ints]:
    model = _of("cluster", "KMeans")(k, n_init=10, random_state=seed).fit(train_TW)
    return Rule("centres", {"centres": model.cluster_centers_}), np.arange(len(train_TW))


def _gmm(train_TW: Vectors, k: int, seed: int) -> tuple[Rule, Ints]:
    kind = _of("mixture", "GaussianMixture")
    model = kind(k, covariance_type="diag", random_state=seed, reg_covar=1e-4).fit(train_TW)
    held = {"means": model.means_, "precisions": model.precisions_, "weights": model.weights_}
    return Rule("mixture", held), np.arange(len(train_TW))


def _agglomerative(train_TW: Vectors, k: int, seed: int) -> tuple[Rule, Ints]:
    # All pairs of windows are held at once: of more than these, every so many is taken.
    some = np.arange(len(train_TW))[:: -(-len(train_TW) // _MOST_AGGLOMERATED)]
    model = _of("cluster", "AgglomerativeClustering")(min(k, len(some)))
    return _neighbours(train_TW[some], model.fit_predict(train_TW[some])), some


def _hdbscan(train_TW: Vectors, k: int, seed: int) -> tuple[Rule, Ints]:
    least = min(max(5, len(train_TW) // 200), len(train_TW))
    model = _of("cluster", "HDBSCAN")(min_cluster_size=least, copy=True)
    return _neighbours(train_TW, model.fit_predict(train_TW)), np.arange(len(train_TW))


def _neighbours(rows_TW: Vectors, cluster_T: Ints) -> Rule:
    """Other windows take the cluster of most of their nearest."""
    return Rule("neighbours", {"rows": rows_TW, "names": np.asarray(cluster_T, dtype=np.int64)})


def _of(module: str, name: str) -> Model:
    """A class of scikit-learn, which takes seconds to import."""
    from importlib import import_module

    return getattr(import_module(f"sklearn.{module}"), name)


_METHODS: Mapping[Method, Callable[[Vectors, int, int], tuple[Rule, Ints]]] = {
    "kmeans": _kmeans,
    "gmm": _gmm,
    "agglomerative": _agglomerative,
    "hdbscan": _hdbscan,
}
