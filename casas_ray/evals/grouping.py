"""How windows are to be grouped, and windows that are: a home's by hand-made features, or by those
of a run on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from casas_ray import paths
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.clusters import Clusters, Method, cluster, require_sense
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.hand import BOTH_SIDES, COUNTS, MIX, PAST, RICH
from casas_ray.evals.features.learned import encoder, joined
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.protocols import folds
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown

Features = Literal["hand", "counts", "rich", "past", "both", "encoder", "joined"]

_HAND: dict[str, Featurizer] = {
    "hand": MIX,
    "counts": COUNTS,
    "rich": RICH,
    "past": PAST,
    "both": BOTH_SIDES,
}
_LEARNED = ("encoder", "joined")


@dataclass(frozen=True)
class Grouping:
    """How windows are to be grouped."""

    features: Features
    method: Method = "kmeans"
    k: int | None = 20
    """None takes the number with the best silhouette; HDBSCAN finds its own."""

    split: str = "val"
    """The later days that are scored, `val` or `test`."""

    @property
    def name(self) -> str:
        """As its folder is called."""
        k = "" if self.method == "hdbscan" else f"-{self.k or 'auto'}"
        return f"{self.features}-{self.method}{k}-{self.split}"


@dataclass(frozen=True)
class Grouped:
    """Windows of a set's training days and of later ones, in clusters."""

    prepared: PreparedSet
    run: TrainedRun | None
    grouping: Grouping
    featurizer: Featurizer
    windows: SeenWindows
    fold: Fold
    clusters: Clusters

    @property
    def caveats(self) -> tuple[str, ...]:
        """What everything made of it has to say."""
        of_run = self.run.caveats if self.run else ()
        return tuple(dict.fromkeys([*self.prepared.caveats, *of_run]))

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return place_of(self.prepared, self.run) / self.grouping.name


def place_of(prepared: PreparedSet, run: TrainedRun | None) -> Path:
    """The folder in which the groupings of a run, or of a set without one, are kept."""
    return run.folder / "clusters" if run else paths.clusters() / prepared.folder.name


def group(prepared: PreparedSet, run: TrainedRun | None, grouping: Grouping) -> Grouped:
    """The clusters of a set's windows, fitted on training days; no label is read.

    Raises:
        DataError: there are fewer windows than clusters, or the set cannot tell what is asked.
        SettingsError: the features want a run, or k has no effect.
        SetupError: scikit-learn is not installed.
    """
    require_sense(grouping.method, grouping.k)
    if grouping.split not in prepared.manifest["windows"]:
        raise DataError(f"{shown(prepared.folder)} has no {grouping.split} windows.")
    featurizer = _featurizer(grouping.features, run)
    windows = SeenWindows.of(prepared, ("train", grouping.split))
    if featurizer.level != "window" and not windows.has_context:
        raise DataError(
            f"features of {featurizer.level} want events beside the windows, and alignment JSON "
            "has none.",
            hint="--features hand, counts or rich read windows alone.",
        )
    (fold,) = folds(windows, "day")
    found = cluster(windows, fold, featurizer, method=grouping.method, k=grouping.k)
    return Grouped(prepared, run, grouping, featurizer, windows, fold, found)


def _featurizer(features: Features, run: TrainedRun | None) -> Featurizer:
    if features not in _LEARNED:
        return _HAND[features]
    if run is None:
        raise SettingsError(
            f"--features {features} are those of a training, and a home was named.",
            hint="name a run's folder, or take --features hand.",
        )
    trained = encoder("trained", run.model, torch.from_numpy(run.data.vectors_NT))
    return trained if features == "encoder" else joined("trained + hand mix", [trained, MIX])


def cheaper_than(featurizer: Featurizer, run: TrainedRun | None) -> Sequence[Featurizer]:
    """What is cheaper: counts, the hand mix, and where something was trained the same untrained."""
    cheaper = [COUNTS, MIX]
    if run is not None and featurizer.name.startswith("trained"):
        texts = torch.from_numpy(run.data.vectors_NT)
        cheaper.append(encoder("untrained", run.untrained(), texts))
    return [each for each in cheaper if each.name != featurizer.name]
