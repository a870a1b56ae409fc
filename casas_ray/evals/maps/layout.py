"""Where windows lie on a map of two dimensions."""

# N windows, W width of a vector

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import numpy as np

from casas_ray.errors import SetupError
from casas_ray.evals.clusters import Clusters
from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.tuned import undisturbed

Kind = Literal["pca", "tsne"]

_MOST_BY_TSNE = 5_000
"""Windows that t-SNE places by itself, in half a minute of a core; others lie among these."""

_NEAREST = 5
_RIM = 0.001
"""The share of windows at each end of an axis that are drawn at its edge."""


@dataclass(frozen=True)
class Layout:
    """Windows on a square."""

    name: str
    said: str
    """How it was made, in a sentence."""

    xy_N2: Vectors
    """0 to 1, right and up."""


def require_tsne() -> None:
    """Refuse t-SNE where the package that makes it is missing.

    Raises:
        SetupError: it is.
    """
    if find_spec("openTSNE") is None:
        raise SetupError(
            "t-SNE needs openTSNE, which is not installed.",
            hint="pip install 'casas-ray[map]', or take --layout pca.",
        )


def layouts(clusters: Clusters, kind: Kind | None) -> list[Layout]:
    """The principal axes, which are always there; before them t-SNE, where it is asked for, or is
    installed and nothing was asked.

    Raises:
        SetupError: t-SNE is asked for and not installed.
    """
    if kind == "tsne":
        require_tsne()
    made = [_principal(clusters)]
    if kind == "tsne" or (kind is None and find_spec("openTSNE") is not None):
        made.insert(0, _tsne(clusters))
    return made


def _principal(clusters: Clusters) -> Layout:
    """The two axes of the vectors that were grouped that vary most, which are their first."""
    reduced_NW = clusters.reduced_NW
    spread = reduced_NW.var(axis=0)
    share = float(spread[:2].sum() / max(spread.sum(), 1e-12))
    two_N2 = np.pad(reduced_NW[:, :2], ((0, 0), (0, max(0, 2 - reduced_NW.shape[1]))))
    said = (
        f"The two principal axes of the vectors that were grouped: {share:.0%} of what varies in "
        "them, so that groups apart in others may lie on one another here."
    )
    return Layout("principal axes", said, _on_square(two_N2))


def _tsne(clusters: Clusters) -> Layout:
    some = np.arange(len(clusters.reduced_NW))[:: -(-len(clusters.reduced_NW) // _MOST_BY_TSNE)]
    placed_S2 = _by_tsne(clusters.reduced_NW[some])
    two_N2 = _among(clusters.reduced_NW, some, placed_S2)
    beside = "" if len(some) == len(two_N2) else f" of {len(some):,} windows, others among them"
    said = (
        f"t-SNE{beside}: neighbours lie together; how far apart groups lie, and how large they "
        "look, tells nothing."
    )
    return Layout("t-SNE", said, _on_square(two_N2))


def _by_tsne(vectors_SW: Vectors) -> Vectors:
    few = max(2.0, min(30.0, (len(vectors_SW) - 1) / 3))
    make: Callable[[Vectors], Vectors] = (
        import_module("openTSNE").TSNE(perplexity=few, random_state=0, n_jobs=1).fit
    )
    return np.asarray(make(vectors_SW))


def _among(vectors_NW: Vectors, some: Ints, placed_S2: Vectors) -> Vectors:
    """Those that were placed, and others in the midst of their nearest of them."""
    if len(some) == len(vectors_NW):
        return placed_S2
    from sklearn.neighbors import NearestNeighbors

    with undisturbed():
        model = NearestNeighbors(n_neighbors=_NEAREST).fit(vectors_NW[some])
        apart_NM, index_NM = model.kneighbors(vectors_NW)
    weight_NM = 1.0 / (apart_NM + 1e-9)
    weight_NM /= weight_NM.sum(axis=1, keepdims=True)
    return (placed_S2[index_NM] * weight_NM[:, :, None]).sum(axis=1)


def _on_square(two_N2: Vectors) -> Vectors:
    low, high = np.quantile(two_N2, [_RIM, 1.0 - _RIM], axis=0)
    return np.clip((two_N2 - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
