"""The rule by which a window takes its cluster, as arrays: what was fitted, and can be kept."""

# N windows, T windows that were grouped, W width of a vector, D principal axes, K clusters

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from casas_ray.evals.features.featurizer import Vectors
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.tuned import FAR

Arrays = Mapping[str, np.ndarray[Any, Any]]  # Any: of several shapes and types

_NEAREST = 5

Kind = Literal["centres", "mixture", "neighbours"]


@dataclass(frozen=True)
class Reduction:
    """Vectors in their principal axes: standardised first, where the features want it."""

    arrays: Arrays
    """`middle` (W) and `axes` (D x W); where vectors are standardised also `mean` and `spread` (W
    each)."""

    def of(self, vectors_NW: Vectors) -> Vectors:
        """The vectors in those axes, N x D."""
        return (self.scaled(vectors_NW) - self.arrays["middle"]) @ self.arrays["axes"].T

    def scaled(self, vectors_NW: Vectors) -> Vectors:
        """The vectors before that, N x W."""
        if "mean" not in self.arrays:
            return vectors_NW
        return np.clip((vectors_NW - self.arrays["mean"]) / self.arrays["spread"], -FAR, FAR)


@dataclass(frozen=True)
class Rule:
    """Clusters as they were fitted."""

    kind: Kind
    arrays: Arrays
    """Of centres `centres` (K x D); of a mixture `means`, `precisions` (K x D each) and `weights`
    (K); of neighbours `rows` (T x D) and `names` (T)."""

    def of(self, reduced_ND: Vectors) -> Ints:
        """The cluster of each window."""
        held = self.arrays
        if self.kind == "centres":
            return _squared(reduced_ND, held["centres"]).argmin(axis=1)
        if self.kind == "mixture":
            return self._log_densities(reduced_ND).argmax(axis=1)
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(min(_NEAREST, len(held["rows"])))
        named = model.fit(held["rows"], held["names"]).predict(reduced_ND)
        return np.asarray(named, dtype=np.int64)

    def _log_densities(self, reduced_ND: Vectors) -> Vectors:
        """N x K, but for a number that all clusters share."""
        held = self.arrays
        precisions, means = held["precisions"], held["means"]
        apart_NK = (
            reduced_ND**2 @ precisions.T
            - 2.0 * reduced_ND @ (precisions * means).T
            + (precisions * means**2).sum(axis=1)
        )
        return np.log(held["weights"]) + 0.5 * (np.log(precisions).sum(axis=1) - apart_NK)


def _squared(reduced_ND: Vectors, centres_KD: Vectors) -> Vectors:
    """N x K: squared distances, but for each window's own length."""
    return (centres_KD**2).sum(axis=1) - 2.0 * reduced_ND @ centres_KD.T
