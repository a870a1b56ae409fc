"""Clusters of a home's windows, scored beside cheaper vectors, and kept on disk.

clusters/FEATURES-METHOD-K-SPLIT/
  clusters.json     how they were found, their scores, and a row a cluster
  windows.parquet   the cluster of every window, and the name that a person gave it
  events.parquet    the same of every event that lies in a window
clusters/FEATURES-METHOD-K-SPLIT.names.json    the names, which outlive the folder
"""

# N windows, E events

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.cluster_names import Names
from casas_ray.evals.cluster_scores import scores
from casas_ray.evals.clusters import Clusters, cluster
from casas_ray.evals.evaluation import Json, Watch
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.grouping import Grouped, Grouping, cheaper_than, group, place_of
from casas_ray.evals.maps.cluster_facts import cluster_facts, home_facts
from casas_ray.evals.maps.proposed_names import proposed_names
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.evals.window_facts import WindowFacts
from casas_ray.files import new_folder_over
from casas_ray.sealed import read_sealed, write_sealed

ABOUT, WINDOWS, EVENTS = "clusters.json", "windows.parquet", "events.parquet"
AGAIN = "`casas-ray cluster` makes it anew."


@dataclass(frozen=True)
class Assigned:
    """Clusters that were found and kept."""

    folder: Path
    about: Json
    """What stands in `clusters.json`."""

    looks: tuple[str, ...]
    """Every grouping of this home or run that was scored on its test days."""

    names: Names
    """What a person calls the clusters."""


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
    watch(f"grouping windows, {grouping.features}")
    found = group(prepared, run, grouping)
    rows = {found.featurizer.name: scored(found, share_of_probe=True)}
    for other in cheaper_than(found.featurizer, run):
        watch(f"grouping windows, {other.name}")
        clusters = cluster(found.windows, found.fold, other, method=grouping.method, k=grouping.k)
        rows[other.name] = _row(found.windows, found.fold, other, clusters, share_of_probe=False)
    return keep(found, rows)


def keep(found: Grouped, rows: Mapping[str, Json]) -> Assigned:
    """The clusters with these rows of scores, written into their folder."""
    windows, clusters, grouping = found.windows, found.clusters, found.grouping
    place = place_of(found.prepared, found.run)
    about = {
        **_about(found),
        "features": found.featurizer.name,
        "rows": rows,
        "silhouettes": {str(k): value for k, value in clusters.curve.items()},
        "clusters": _told(found),
        "labels": any("nmi" in row for row in rows.values()),
        "clustering": digest_of(windows.table.column("id").to_pylist(), clusters.cluster_N),
    }
    names = Names.of(place / grouping.name, about["clustering"])
    with new_folder_over(found.folder) as draft:
        pq.write_table(names.beside(_windows(windows, clusters)), draft / WINDOWS)
        if windows.has_context:
            pq.write_table(names.beside(_events(windows, clusters)), draft / EVENTS)
        write_sealed(draft / ABOUT, about)
    return Assigned(found.folder, about, looks_in(place), names)


def kept(found: Grouped) -> Assigned | None:
    """The same clusters, where they were kept before; None where others were, or none."""
    path = found.folder / ABOUT
    if not path.is_file():
        return None
    about = read_sealed(path, hint=AGAIN)
    ids = found.windows.table.column("id").to_pylist()
    if about.get("clustering") != digest_of(ids, found.clusters.cluster_N):
        return None
    place = place_of(found.prepared, found.run)
    names = Names.of(found.folder, about["clustering"])
    return Assigned(found.folder, about, looks_in(place), names)


def looks_in(place: Path) -> tuple[str, ...]:
    """The groupings below a folder that were scored on test days."""
    return tuple(sorted(path.parent.name for path in place.glob(f"*-test/{ABOUT}")))


def digest_of(ids: Sequence[str], cluster_N: Ints) -> str:
    """A hash of which window is in which cluster."""
    content = hashlib.sha256("\n".join(ids).encode())
    content.update(np.ascontiguousarray(cluster_N, dtype="<i8").tobytes())
    return content.hexdigest()[:16]


def scored(found: Grouped, *, share_of_probe: bool) -> Json:
    """The row of scores of the clusters."""
    return _row(
        found.windows, found.fold, found.featurizer, found.clusters, share_of_probe=share_of_probe
    )


def _row(
    windows: SeenWindows,
    fold: Fold,
    featurizer: Featurizer,
    clusters: Clusters,
    *,
    share_of_probe: bool,
) -> Json:
    earned = scores(windows, fold, clusters, share_of_probe=share_of_probe)
    return {"level": featurizer.level, "k": clusters.k, **earned}


def _about(found: Grouped) -> Json:
    grouping = found.grouping
    return {
        "run": str(found.run.folder) if found.run else None,
        "set": found.prepared.folder.name,
        "fingerprint": found.prepared.fingerprint,
        "method": grouping.method,
        "asked_k": grouping.k,
        "days": "test days" if grouping.split == "test" else "validation days",
        "caveats": list(found.caveats),
    }


def _told(found: Grouped) -> list[Json]:
    """A row a cluster: the name proposed for it, its middle's window and that one's label, and how
    many windows it has."""
    windows, clusters = found.windows, found.clusters
    facts = WindowFacts.of(found.prepared, windows)
    sizes = {each.cluster: each for each in cluster_facts(facts, found.fold, clusters)}
    names = proposed_names(list(sizes.values()), home_facts(facts))
    ids = windows.table.column("id").to_pylist()
    told = []
    for centre in clusters.centre_K.tolist():
        number = int(clusters.cluster_N[centre])
        told.append(
            {
                "cluster": number,
                "proposed": names[number],
                "centre": ids[centre],
                "label": str(windows.labels[centre]),
                "train": sizes[number].train,
                "judged": sizes[number].judged,
            }
        )
    return told


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
