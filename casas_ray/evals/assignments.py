"""Clusters of a home's windows, found, scored beside cheaper vectors, and kept on disk.

clusters/FEATURES-METHOD-K-SPLIT/
  clusters.json     how they were found, their scores, and a row a cluster
  windows.parquet   the cluster of every window
  events.parquet    the cluster of every event that lies in a window
  model.safetensors model.json    what tells the cluster of other windows (kept_clusters.py)
"""

# N windows, E events

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from casas_ray import paths
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.cluster_scores import scores
from casas_ray.evals.clusters import Clusters, Method, cluster, require_sense
from casas_ray.evals.evaluation import Json, Watch
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.hand import COUNTS, MIX
from casas_ray.evals.features.learned import encoder
from casas_ray.evals.features.named import LEARNED, Features, hand_made, learned
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.kept_clusters import KeptClusters
from casas_ray.evals.protocols import folds
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import new_folder_over, shown
from casas_ray.sealed import write_sealed


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
class Assigned:
    """Clusters that were found and kept."""

    folder: Path
    about: Json
    """What stands in `clusters.json`."""

    looks: tuple[str, ...]
    """Every grouping of this home or run that was scored on its test days."""


def assign(
    prepared: PreparedSet, run: TrainedRun | None, grouping: Grouping, watch: Watch
) -> Assigned:
    """The clusters of a set's windows, by hand-made features or by those of a run on it.

    They are fitted on training days and scored on the later ones; no label is read but to score.

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
    watch(f"grouping windows, {featurizer.name}")
    found = cluster(windows, fold, featurizer, method=grouping.method, k=grouping.k)
    rows = {featurizer.name: _row(windows, fold, featurizer, found, share_of_probe=True)}
    for other in _beside(featurizer, run):
        watch(f"grouping windows, {other.name}")
        cheaper = cluster(windows, fold, other, method=grouping.method, k=grouping.k)
        rows[other.name] = _row(windows, fold, other, cheaper, share_of_probe=False)
    about = {
        **_about(prepared, run, grouping),
        "features": featurizer.name,
        "rows": rows,
        "silhouettes": {str(k): value for k, value in found.curve.items()},
        "clusters": _told(windows, fold, found),
        "labels": any("nmi" in row for row in rows.values()),
    }
    place = run.folder / "clusters" if run else paths.clusters() / prepared.folder.name
    weights = run.weights if run else ""
    model = KeptClusters.of(
        prepared, windows, fold, (grouping.features, featurizer), found, weights
    )
    folder = _kept(place / grouping.name, windows, found, about, model)
    looks = sorted(path.parent.name for path in place.glob("*-test/clusters.json"))
    return Assigned(folder, about, tuple(looks))


def _featurizer(features: Features, run: TrainedRun | None) -> Featurizer:
    if features not in LEARNED:
        return hand_made(features)
    if run is None:
        raise SettingsError(
            f"--features {features} are those of a training, and a home was named.",
            hint="name a run's folder, or take --features hand.",
        )
    return learned(features, run.model, torch.from_numpy(run.data.vectors_NT))


def _beside(featurizer: Featurizer, run: TrainedRun | None) -> Sequence[Featurizer]:
    """What is cheaper: counts, the hand mix, and where something was trained the same untrained."""
    cheaper = [COUNTS, MIX]
    if run is not None and featurizer.name.startswith("trained"):
        texts = torch.from_numpy(run.data.vectors_NT)
        cheaper.append(encoder("untrained", run.untrained(), texts))
    return [each for each in cheaper if each.name != featurizer.name]


def _row(
    windows: SeenWindows,
    fold: Fold,
    featurizer: Featurizer,
    clusters: Clusters,
    *,
    share_of_probe: bool,
) -> Json:
    found = scores(windows, fold, clusters, share_of_probe=share_of_probe)
    return {"level": featurizer.level, "k": clusters.k, **found}


def _about(prepared: PreparedSet, run: TrainedRun | None, grouping: Grouping) -> Json:
    caveats = dict.fromkeys([*prepared.caveats, *(run.caveats if run else ())])
    return {
        "run": str(run.folder) if run else None,
        "set": prepared.folder.name,
        "fingerprint": prepared.fingerprint,
        "method": grouping.method,
        "asked_k": grouping.k,
        "days": "test days" if grouping.split == "test" else "validation days",
        "caveats": list(caveats),
    }


def _told(windows: SeenWindows, fold: Fold, clusters: Clusters) -> list[Json]:
    """A row a cluster: its centre's window and its label, and how many windows it has."""
    ids = windows.table.column("id").to_pylist()
    told = []
    for centre in clusters.centre_K.tolist():
        name = int(clusters.cluster_N[centre])
        sizes = {
            side: int((clusters.cluster_N[rows] == name).sum())
            for side, rows in (("train", fold.train), ("judged", fold.judged))
        }
        label = str(windows.labels[centre])
        told.append({"cluster": name, "centre": ids[centre], "label": label, **sizes})
    return told


def _kept(
    folder: Path,
    windows: SeenWindows,
    clusters: Clusters,
    about: Json,
    model: KeptClusters | None,
) -> Path:
    with new_folder_over(folder) as draft:
        if model is not None:
            model.write(draft)
        pq.write_table(_windows(windows, clusters), draft / "windows.parquet")
        if windows.has_context:
            pq.write_table(_events(windows, clusters), draft / "events.parquet")
        write_sealed(draft / "clusters.json", about)
    return folder


def _windows(windows: SeenWindows, clusters: Clusters) -> pa.Table:
    names = np.array(windows.names)[windows.split_N]
    centre_N = np.zeros(len(windows), dtype=bool)
    centre_N[clusters.centre_K] = True
    held = windows.table.select(["id", "home", "first_event", "start_us", "length"])
    columns: dict[str, Any] = {  # Any: arrays of several types
        "split": pa.array(names.tolist(), pa.string()),
        "cluster": pa.array(clusters.cluster_N),
        "is_centre": pa.array(centre_N),
    }
    for name, column in columns.items():
        held = held.append_column(name, column)
    return held


def _events(windows: SeenWindows, clusters: Clusters) -> pa.Table:
    event_E, window_E = nearest_windows(windows)
    return pa.table(
        {
            "event": pa.array(event_E),
            "time_us": pa.array(windows.time_us_E[event_E]),
            "cluster": pa.array(clusters.cluster_N[window_E]),
        }
    )


def nearest_windows(windows: SeenWindows) -> tuple[Ints, Ints]:
    """Each event that lies in a window, and the index of that one of its windows whose middle is
    nearest to it; of two as near, the first."""
    window_R, event_R = windows.event_rows
    # Twice the distance, in whole numbers.
    middle_R = windows.ranges.first[window_R] + windows.ranges.after[window_R] - 1
    apart_R = np.abs(2 * event_R - middle_R)
    order = np.lexsort((window_R, apart_R, event_R))
    event_E, first = np.unique(event_R[order], return_index=True)
    return event_E, window_R[order][first]
