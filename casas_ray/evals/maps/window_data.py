"""Every window as the map's script reads it: places, colours, captions, and which sensors spoke."""

# N windows, E events of windows

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from casas_ray.evals.clusters import NOISE
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.maps.layout import Layout
from casas_ray.evals.window_facts import WindowFacts
from casas_ray.names import plain
from casas_ray.report.palette import NOTHING, distinct, hours

UNLABELLED = "no label"

Json = dict[str, Any]  # Any: what JSON holds


def map_data(
    facts: WindowFacts,
    cluster_N: Ints,
    layouts: Sequence[Layout],
    names: Mapping[int, str],
    colours: Mapping[int, str],
) -> Json:
    """What the script draws and tells; `names` and `colours` are those of clusters."""
    _, first, caption_N = np.unique(facts.caption_N, return_index=True, return_inverse=True)
    return {
        "layouts": [_placed(layout) for layout in layouts],
        "colourings": [
            _by_cluster(cluster_N, names, colours),
            *([_by_label(facts)] if facts.has_labels else []),
            _of("hour", [f"{hour} h" for hour in range(24)], hours(), facts.hour_N),
            _of("room", facts.rooms, distinct(len(facts.rooms)), facts.main_room_N),
            _of("split", *_splits(facts)),
        ],
        "captions": [plain(facts.caption(window)) for window in first.tolist()],
        "caption": caption_N.tolist(),
        "start": (facts.start_us_N // 1_000_000).tolist(),
        "seconds": np.rint(facts.seconds_N).astype(np.int64).tolist(),
        "sensors": [plain(sensor) for sensor in facts.sensors],
        "runs": _runs(facts),
    }


def _placed(layout: Layout) -> Json:
    whole_N2 = np.rint(layout.xy_N2 * 10_000).astype(np.int64)
    x, y = (whole_N2[:, axis].tolist() for axis in (0, 1))
    return {"name": layout.name, "said": layout.said, "x": x, "y": y}


def _of(name: str, names: Sequence[str], colours: Sequence[str], of_N: Ints) -> Json:
    told = [plain(each) for each in names]
    return {"name": name, "names": told, "colours": list(colours), "of": of_N.tolist()}


def _by_cluster(cluster_N: Ints, names: Mapping[int, str], colours: Mapping[int, str]) -> Json:
    known, of_N = np.unique(cluster_N, return_inverse=True)
    told = ["noise" if each == NOISE else f"{each} {names[each]}" for each in known.tolist()]
    return _of("cluster", told, [colours.get(each, NOTHING) for each in known.tolist()], of_N)


def _by_label(facts: WindowFacts) -> Json:
    names, colours, of_N = coloured_labels(facts)
    return _of("activity", names, colours, of_N)


def coloured_labels(facts: WindowFacts) -> tuple[list[str], list[str], Ints]:
    """The labels, the most frequent first and `no label` last, a colour each, and the index of
    every window's."""
    known, of_N, counts = np.unique(facts.labels, return_inverse=True, return_counts=True)
    # An empty label sorts first, and stands last here.
    order = sorted(range(len(known)), key=lambda each: (known[each] == "", -counts[each]))
    rank = np.empty(len(known), dtype=np.int64)
    rank[order] = np.arange(len(known))
    names = [str(known[each]) or UNLABELLED for each in order]
    colours = distinct(len(names))
    if names[-1] == UNLABELLED:
        colours[-1] = NOTHING
    return names, colours, rank[of_N]


def _splits(facts: WindowFacts) -> tuple[list[str], list[str], Ints]:
    names = list(dict.fromkeys(facts.split_N.tolist()))
    index = {name: number for number, name in enumerate(names)}
    return names, distinct(len(names)), np.array([index[each] for each in facts.split_N.tolist()])


def _runs(facts: WindowFacts) -> Mapping[str, list[int]]:
    """Window after window, each sensor that spoke and how often in a row."""
    window_E, sensor_E = facts.window_E, facts.sensor_E
    begins = np.ones(len(sensor_E), dtype=bool)
    begins[1:] = (np.diff(window_E) != 0) | (np.diff(sensor_E) != 0)
    first = np.flatnonzero(begins)
    return {
        "sensor": sensor_E[first].tolist(),
        "count": np.diff(np.append(first, len(sensor_E))).tolist(),
        "of": np.bincount(window_E[first], minlength=len(facts)).tolist(),
    }
