"""What is told of clusters agrees with their windows; names tell them apart."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.clusters import NOISE
from casas_ray.evals.grouping import Grouped, Grouping, group
from casas_ray.evals.maps.cluster_facts import ClusterFacts, Home, Share, cluster_facts, home_facts
from casas_ray.evals.maps.proposed_names import proposed_names
from casas_ray.evals.window_facts import WindowFacts

NIGHT = [0.5, 0.5, *[0.0] * 22]
ALWAYS = [1 / 24] * 24
USUAL = Home(ALWAYS, [1 / 7] * 7, 60.0)


@pytest.fixture(scope="module")
def found(small_set: PreparedSet) -> Grouped:
    return group(small_set, None, Grouping("hand", k=6))


@pytest.fixture(scope="module")
def facts(found: Grouped, small_set: PreparedSet) -> WindowFacts:
    return WindowFacts.of(small_set, found.windows)


def test_shares_hours_and_purity_are_those_of_the_cluster_s_windows(found: Grouped, facts):
    told = cluster_facts(facts, found.fold, found.clusters)
    assert [each.train + each.judged for each in told] == sorted(
        (each.train + each.judged for each in told), reverse=True
    )
    assert sum(each.share for each in told) == pytest.approx(1.0)
    for each in told:
        rows = np.flatnonzero(found.clusters.cluster_N == each.cluster).tolist()
        windows = [facts.fact(row) for row in rows]
        assert each.judged == sum(window.split == "val" for window in windows)
        hours = Counter(int(window.start[11:13]) for window in windows)
        assert each.hours == pytest.approx([hours[hour] / len(rows) for hour in range(24)])
        labels = Counter(window.label for window in windows if window.label)
        assert each.labelled == labels.total()
        if labels:
            assert each.purity == pytest.approx(labels.most_common(1)[0][1] / labels.total())
        sensors = Counter(sensor for row in rows for _, sensor, _ in facts.events(row))
        assert each.sensors[0].share == pytest.approx(
            sensors.most_common(1)[0][1] / sensors.total()
        )


def test_typical_windows_are_near_the_middle_and_of_several_days(found: Grouped, facts):
    for each in cluster_facts(facts, found.fold, found.clusters):
        rows = np.flatnonzero(found.clusters.cluster_N == each.cluster)
        train = np.intersect1d(rows, found.fold.train)
        middle = found.clusters.reduced_NW[train].mean(axis=0)
        apart = np.linalg.norm(found.clusters.reduced_NW[rows] - middle, axis=1)
        assert each.typical[0] == rows[apart.argmin()]
        days = {int(facts.day_N[window]) for window in each.typical}
        assert len(days) == min(3, len(np.unique(facts.day_N[rows])), len(each.typical))
        assert each.cluster not in [cluster for cluster, _ in each.nearest]


def test_noise_is_no_cluster(found: Grouped, facts):
    noisy = found.clusters.cluster_N.copy()
    noisy[::3] = NOISE
    clusters = dataclasses.replace(found.clusters, cluster_N=noisy)
    told = cluster_facts(facts, found.fold, clusters)
    assert NOISE not in [each.cluster for each in told]
    assert sum(each.share for each in told) < 0.7


def made(cluster: int, rooms: list[Share], hours: list[float], seconds: float) -> ClusterFacts:
    sensors = [Share(f"M00{cluster}", 0.9, 3.0)]
    return ClusterFacts(
        cluster, 9, 1, 0.1, seconds, hours, [1 / 7] * 7, rooms, sensors, [], [], 0, [], []
    )


def test_a_proposed_name_says_where_when_and_how_long():
    kitchen, bed = Share("kitchen", 0.8, 2.0), Share("bedroom", 0.5, 2.0)
    halves = [bed, Share("bathroom", 0.4, 2.0)]
    spread = [Share("bedroom", 0.4, 2.0), Share("hallway", 0.3, 1.0), Share("kitchen", 0.3, 1.0)]
    names = proposed_names(
        [
            made(0, [kitchen], NIGHT, 60.0),
            made(1, halves, ALWAYS, 600.0),
            made(2, spread, [*[0.0] * 18, 0.9, 0.1, *[0.0] * 4], 5.0),
            made(3, [Share("unknown", 0.9, 1.0)], NIGHT, 60.0),
        ],
        USUAL,
    )
    assert names == {
        0: "Kitchen, night (0-2 h)",
        1: "Bedroom and bathroom, any time, long",
        2: "Mostly bedroom, evening (18-19 h), brief",
        3: "M003, night (0-2 h)",
    }


def test_no_two_clusters_are_proposed_one_name():
    kitchen = [Share("kitchen", 0.8, 2.0)]
    alike = [made(1, kitchen, NIGHT, 60.0), made(2, kitchen, NIGHT, 60.0)]
    names = proposed_names([*alike, dataclasses.replace(alike[1], cluster=3)], USUAL)
    assert names[1] == "Kitchen, night (0-2 h), most M001"
    assert names[2] == "Kitchen, night (0-2 h), most M002, about 1 minute"
    assert names[3] == "Kitchen, night (0-2 h), most M002, about 1 minute (2)"


def test_a_night_over_midnight_is_one_stretch(found: Grouped, facts):
    hours = [0.3, *[0.0] * 22, 0.7]
    assert proposed_names([made(0, [], hours, 60.0)], USUAL)[0] == "M000, late evening (23-0 h)"
    assert sum(home_facts(facts).hours) == pytest.approx(1.0)
