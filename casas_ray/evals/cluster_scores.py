"""What clusters are worth: against labels where there are any, and by themselves."""

# N windows, J judged windows, K clusters

from collections.abc import Mapping

import numpy as np

from casas_ray.evals.clusters import NOISE, Clusters, agreement
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, Labels, SeenWindows
from casas_ray.evals.scores import f1_scores
from casas_ray.evals.tuned import UNLABELLED, Part, probe

WITHOUT_LABELS = ("silhouette", "agreement", "noise")
"""Scores of clusters that need no labels."""

_MOST_COMPARED = 5000


def scores(
    windows: SeenWindows, fold: Fold, clusters: Clusters, *, share_of_probe: bool = False
) -> dict[str, float]:
    """The scores on judged windows, by name; those against labels only where there are two labels.

    nmi, ami, ari, homogeneity, completeness and purity, the first three also with `_labelled`, of
    windows that somebody labelled. centre_macro_f1 is earned by telling each window the label of
    the one training window nearest to its cluster's mean: k labels in all. `share_of_probe` fits a
    probe on all training labels besides, and says which share of its macro F1 that is.
    """
    judged_J = clusters.cluster_N[fold.judged]
    found = _by_themselves(clusters, fold)
    labels = windows.labels[fold.judged]
    if len(set(labels.tolist())) < 2 or len(set(windows.labels[fold.train].tolist())) < 2:
        return found
    found |= against(labels, judged_J)
    known_J = ~np.isin(labels, sorted(UNLABELLED))
    if len(set(labels[known_J].tolist())) > 1:
        known = against(labels[known_J], judged_J[known_J])
        found |= {f"{name}_labelled": known[name] for name in ("nmi", "ami", "ari")}
    told = _told_by_centres(windows, clusters, fold.judged)
    f1 = f1_scores(labels, told)
    found |= {f"centre_{name}": value for name, value in f1.items()}
    if share_of_probe:
        whole = _probe_f1(windows, fold, clusters)
        found |= {"probe_macro_f1": whole, "centre_share_of_probe": f1["macro_f1"] / whole}
    return found


def against(labels: Labels, cluster_J: Ints) -> Mapping[str, float]:
    """nmi, ami, ari, homogeneity, completeness (scikit-learn's) and purity of clusters against
    labels; noise is a cluster like others."""
    from sklearn import metrics

    return {
        "nmi": float(metrics.normalized_mutual_info_score(labels, cluster_J)),
        "ami": float(metrics.adjusted_mutual_info_score(labels, cluster_J)),
        "ari": float(metrics.adjusted_rand_score(labels, cluster_J)),
        "homogeneity": float(metrics.homogeneity_score(labels, cluster_J)),
        "completeness": float(metrics.completeness_score(labels, cluster_J)),
        "purity": purity(labels, cluster_J),
    }


def purity(labels: Labels, cluster_J: Ints) -> float:
    """The share of windows that are of their cluster's most frequent label."""
    _, label_J = np.unique(labels, return_inverse=True)
    names, index_J = np.unique(cluster_J, return_inverse=True)
    table = np.zeros((len(names), int(label_J.max()) + 1))
    np.add.at(table, (index_J, label_J), 1.0)
    return float(table.max(axis=1).sum() / len(labels))


def _by_themselves(clusters: Clusters, fold: Fold) -> dict[str, float]:
    from sklearn.metrics import silhouette_score

    judged_J = clusters.cluster_N[fold.judged]
    found = {}
    inside = fold.judged[judged_J != NOISE]
    count = len(np.unique(clusters.cluster_N[inside]))
    if 1 < count < len(inside):
        found["silhouette"] = float(
            silhouette_score(
                clusters.reduced_NW[inside],
                clusters.cluster_N[inside],
                sample_size=min(_MOST_COMPARED, len(inside)),
                random_state=0,
            )
        )
    agree = agreement(clusters, fold)
    if agree is not None:
        found["agreement"] = agree
    if clusters.method == "hdbscan":
        found["noise"] = float((judged_J == NOISE).mean())
    return found


def _told_by_centres(windows: SeenWindows, clusters: Clusters, rows: Ints) -> Labels:
    names = clusters.cluster_N[clusters.centre_K]
    told = dict(zip(names.tolist(), windows.labels[clusters.centre_K].tolist(), strict=True))
    return np.array([told.get(name, "") for name in clusters.cluster_N[rows].tolist()])


def _probe_f1(windows: SeenWindows, fold: Fold, clusters: Clusters) -> float:
    """Macro F1 of a tuned probe of the very vectors that were grouped."""
    train, judged = (
        Part(clusters.reduced_NW[rows], windows.labels[rows], windows.day_N[rows])
        for rows in (fold.train, fold.judged)
    )
    guesses = probe(train, judged).guesses
    return max(f1_scores(guesses.true, guesses.guessed)["macro_f1"], 1e-9)
