"""The page of a clustering: what every part of it shows, from the clusters and their windows."""

# N windows, K clusters

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from casas_ray import __version__
from casas_ray.corpus.captions import span_words
from casas_ray.evals.assignments import Assigned
from casas_ray.evals.features.seen import Ints
from casas_ray.evals.grouping import Grouped
from casas_ray.evals.maps.cluster_facts import ClusterFacts, Share, cluster_facts, home_facts
from casas_ray.evals.maps.layout import Layout
from casas_ray.evals.maps.plan import floor_plan, said_of, usual
from casas_ray.evals.maps.proposed_names import proposed_names
from casas_ray.evals.maps.timeline import picture, rows_of, timeline
from casas_ray.evals.maps.window_data import UNLABELLED, coloured_labels, map_data
from casas_ray.evals.window_facts import WindowFacts
from casas_ray.report import profiles
from casas_ray.report.floor_plan import FloorPlan
from casas_ray.report.map_page import Bar, Days, MapContent, Sheet, Window
from casas_ray.report.palette import NOTHING, distinct
from casas_ray.report.png import as_address, dots, png

_METHODS = {
    "kmeans": "k-means",
    "gmm": "a mixture of Gaussians",
    "agglomerative": "agglomeration",
    "hdbscan": "HDBSCAN",
}
_MOST_SHEETS = 60
_MOST_LABELS = 14
"""Columns of the table of clusters by label."""

_MOST_RUNS = 8
_LEAST = 0.01
"""Smaller shares of a cluster are not told."""

_SCORES = {
    "nmi": ("NMI", "against labels, 0 to 1; every window counts, also those without a label"),
    "nmi_labelled": ("NMI, labelled", "the same of windows that somebody labelled"),
    "purity": ("purity", "share of windows that have their cluster's most frequent label"),
    "silhouette": ("silhouette", "-1 to 1, how far clusters lie apart; needs no label"),
    "agreement": ("agreement", "of clusters from five seeds, adjusted Rand index; needs no label"),
    "noise": ("noise", "share of windows in no cluster"),
}


class MapMaker:
    """The parts of the page, which share the facts of windows and clusters."""

    def __init__(self, found: Grouped, assigned: Assigned, layouts: Sequence[Layout]) -> None:
        self._found, self._assigned, self._layouts = found, assigned, layouts
        self._facts = WindowFacts.of(found.prepared, found.windows)
        self._home = home_facts(self._facts)
        self._clusters = cluster_facts(self._facts, found.fold, found.clusters)
        self._named = assigned.names.by_cluster
        self._names = {**proposed_names(self._clusters, self._home), **self._named}
        order = [each.cluster for each in self._clusters]
        self._colours = dict(zip(order, distinct(len(order)), strict=True))

    @property
    def names(self) -> Mapping[int, str]:
        """A person's names of clusters, and proposed ones of others."""
        return self._names

    def content(self, command: str) -> MapContent:
        """Everything that the page shows; `command` makes it again."""
        plan = floor_plan(self._facts)
        return MapContent(
            f"{', '.join(self._homes())}: {len(self._clusters)} clusters of "
            f"{len(self._facts):,} windows",
            self._found.caveats,
            self._answer(),
            self._remarks(),
            self._scores(),
            [self._sheet(each, plan, index) for index, each in enumerate(self._clusters)],
            max(0, len(self._clusters) - _MOST_SHEETS),
            self._facts.has_labels,
            plan.drawn(usual(self._facts), "the whole home"),
            said_of(plan),
            self._still(),
            [(layout.name, layout.said) for layout in self._layouts],
            self._days(),
            self._crossed(),
            map_data(
                self._facts,
                self._found.clusters.cluster_N,
                self._layouts,
                self._names,
                self._colours,
            ),
            self._provenance(),
            command,
        )

    def _homes(self) -> list[str]:
        return sorted(set(self._facts.homes.tolist()))

    def _answer(self) -> str:
        top = [self._names[each.cluster] for each in self._clusters[:3]]
        covered = sum(each.share for each in self._clusters[:3])
        return f"Largest: {'; '.join(top)} ({covered:.0%} of windows)."

    def _remarks(self) -> list[str]:
        found, about = self._found, self._assigned.about
        days = len(np.unique(self._facts.day_N[found.fold.train]))
        said = [
            f"Found without labels, by {_METHODS[found.grouping.method]} on "
            f"{found.featurizer.name} (reads {found.featurizer.level}), fitted on {days} training "
            f"days; {about['days']} only take the clusters there are."
        ]
        if not self._facts.has_labels:
            said.append("Nobody labelled these windows.")
        if self._assigned.names.set_aside:
            names = ", ".join(self._assigned.names.set_aside)
            said.append(f"Set aside, for they were given to other clusters than these: {names}.")
        if self._assigned.looks:
            looks = ", ".join(self._assigned.looks)
            said.append(f"THE TEST DAYS HAVE BEEN LOOKED AT: {looks}.")
        return said

    def _scores(self) -> list[tuple[str, str, str]]:
        about = self._assigned.about
        row = about["rows"][about["features"]]
        return [
            (f"{name}, {about['days']}", f"{row[key]:.3f}", tells)
            for key, (name, tells) in _SCORES.items()
            if key in row
        ]

    def _still(self) -> str:
        shades = [*self._colours.values(), NOTHING]
        return as_address(png(dots(self._layouts[0].xy_N2, self._ranks()), shades))

    def _sheet(self, facts: ClusterFacts, plan: FloorPlan, index: int) -> Sheet:
        shares = dict(zip(self._facts.sensors, facts.sensor_shares, strict=True))
        name = self._names[facts.cluster]
        return Sheet(
            facts.cluster,
            name,
            facts.cluster in self._named,
            self._colours[facts.cluster],
            facts.train,
            facts.judged,
            facts.share,
            span_words(facts.seconds),
            plan.drawn(shares, f"where {name} happens"),
            profiles.hours(facts.hours, self._home.hours),
            profiles.weekdays(facts.weekdays, self._home.weekdays),
            _bars(facts.rooms),
            _bars(facts.sensors),
            _bars(facts.labels),
            facts.labelled,
            [self._window(each) for each in facts.typical] if index < _MOST_SHEETS else [],
            [(cluster, self._names[cluster], f"{apart:.1f}") for cluster, apart in facts.nearest],
        )

    def _window(self, window: int) -> Window:
        fact = self._facts.fact(window)
        runs = [
            (sensor, len(list(each)))
            for sensor, each in groupby(self._facts.events(window), key=lambda event: event[1])
        ]
        told = [
            f"{sensor} ×{count}" if count > 1 else sensor for sensor, count in runs[:_MOST_RUNS]
        ]
        more = ["…"] if len(runs) > _MOST_RUNS else []
        return Window(
            fact.start,
            fact.split,
            span_words(fact.seconds),
            fact.caption,
            fact.label,
            " → ".join([*told, *more]),
        )

    def _days(self) -> Days:
        days = timeline(self._found.windows, self._found.clusters.cluster_N)
        shades = [*self._colours.values(), NOTHING]
        pictures = [picture("clusters", days, self._ranks(), shades, [])]
        if self._facts.has_labels:
            names, shades, label_N = coloured_labels(self._facts)
            legend = list(zip(shades, names, strict=True))
            pictures.append(picture("labels", days, label_N, shades, legend))
        return rows_of(days, pictures)

    def _ranks(self) -> Ints:
        """By window the rank of its cluster, by size; noise comes last."""
        ranks = {each.cluster: index for index, each in enumerate(self._clusters)}
        cluster_N = self._found.clusters.cluster_N.tolist()
        return np.array([ranks.get(each, len(ranks)) for each in cluster_N])

    def _crossed(self) -> tuple[list[str], list[tuple[int, str, list[int]]]]:
        if not self._facts.has_labels:
            return [], []
        names, _, label_N = coloured_labels(self._facts)
        shown = [name for name in names if name != UNLABELLED][:_MOST_LABELS]
        shown += [UNLABELLED] if UNLABELLED in names else []
        columns = [names.index(name) for name in shown]
        rows = []
        for each in self._clusters:
            inside = self._found.clusters.cluster_N == each.cluster
            counts = np.bincount(label_N[inside], minlength=len(names))
            rows.append((each.cluster, self._names[each.cluster], counts[columns].tolist()))
        return shown, rows

    def _provenance(self) -> list[tuple[str, str]]:
        found = self._found
        facts = [
            ("set", found.prepared.folder.name),
            ("data", found.prepared.fingerprint),
            ("features", f"{found.featurizer.name}, reads {found.featurizer.level}"),
            ("method", found.grouping.method),
            ("places", "; ".join(layout.name for layout in self._layouts)),
            ("casas-ray", __version__),
        ]
        if found.run is not None:
            facts.append(("run", f"{found.run.folder.name}, step {found.run.step}"))
        return facts


def _bars(shares: Sequence[Share]) -> list[Bar]:
    return [Bar(each.name, each.share, each.times) for each in shares if each.share >= _LEAST]
