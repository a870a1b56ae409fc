"""The clusters of a home's windows, told of a log as it comes."""

# N windows, E events that are held

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from casas_ray.corpus.events import US_PER_DAY
from casas_ray.corpus.homes import Home
from casas_ray.corpus.live_log import Counts, LiveLog
from casas_ray.corpus.new_events import windows_with_ids
from casas_ray.corpus.open_windows import OpenWindows, Told
from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.cluster_names import Names
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fitted import UNKNOWN
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.learned import level_of
from casas_ray.evals.features.named import LEARNED, hand_made, learned
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.evals.fitted_clusters import FittedClusters
from casas_ray.evals.window_facts import time_text
from casas_ray.files import shown
from casas_ray.sealed import read_sealed

if TYPE_CHECKING:
    from casas_ray.evals.trained_run import TrainedRun

MOST_UNKNOWN = 0.2
"""The largest share of events of unknown sensors, where nobody says another."""

_LEAST_JUDGED = 1_000
"""Events after which a share of unknown sensors may end the reading."""


@dataclass(frozen=True)
class ToldWindow:
    """A window of a log, and its cluster."""

    start: str
    """Local time of its first event, `2011-06-15 01:03:39`."""

    end: str
    line: int
    """Of its first event in the log."""

    events: int
    cluster: int
    name: str
    """What a person calls the cluster, or else the label of the window in its middle, or
    nothing."""


@dataclass(frozen=True)
class Teller:
    """Tells the clusters of windows of one home."""

    kept: FittedClusters
    home: Home
    names: Mapping[int, str]
    model: "TrainedRun | None" = None
    """The model that made the vectors, where they are learned."""

    @classmethod
    def open(cls, folder: Path, *, home: str = "", model: "TrainedRun | None" = None) -> "Teller":
        """The teller of the clusters in a folder, with the names that a person gave them; of no
        home's name, of the only one.

        Raises:
            DataError: the clusters are damaged, or other weights made them, the home is not known,
                or windows were cut by labels.
            SettingsError: the clusters read what comes after a window, or want events cleaned.
        """
        kept = FittedClusters.read(folder)
        if kept.features == "both":
            raise SettingsError(
                "these clusters read what comes after a window, which nobody knows yet.",
                hint="group by --features past, hand, rich or counts.",
            )
        if kept.windows.presegmented:
            raise DataError(
                "these clusters are of windows cut where labels change, which a new log has not.",
                hint="prepare with data.windows.presegmented=false, and group those windows.",
            )
        if kept.windows.max_gap_minutes or kept.known.debounce_seconds:
            raise SettingsError(
                "these clusters are of windows cut at gaps, or of events without bounces; a log is "
                "told as it comes, and neither is done there.",
                hint="prepare without data.windows.max_gap_minutes and data.clean, and group that.",
            )
        if kept.weights and (model is None or model.weights != kept.weights):
            raise DataError(
                f"{shown(folder)}: other weights than those at hand made these clusters.",
                hint="`casas-ray cluster` with the same words finds them anew.",
            )
        if kept.weights and model is not None and level_of(model.recipe) != "window":
            raise SettingsError(
                "these clusters are of a model that reads around a window, and a log is told "
                "window by window.",
                hint="group by --features hand, rich or past, which can be told.",
            )
        return cls(kept, kept.known.facts(home), {**kept.labels, **_named(folder)}, model)

    @property
    def remembered_us(self) -> int:
        """How far its features look back before a window."""
        return US_PER_DAY if self.kept.features == "past" else 0

    def windows_of(self, log: Path, *, most_unknown: float, counts: Counts) -> Iterator[ToldWindow]:
        """The windows of a log in the order of time, each as soon as it is whole; `counts` is kept
        up to date.

        Raises:
            DataError: it looks like no log, is out of order, or more than a share of `most_unknown`
                of its events is of sensors that the home does not know.
        """
        states = self.kept.known.vocabulary.values["state"]
        live = LiveLog(log, self.home, states, self.kept.drop_types, counts)
        coming = OpenWindows(self.kept.windows, remembered_us=self.remembered_us)
        for events in live.pieces():
            every = counts.events + counts.strangers.total()
            if every >= _LEAST_JUDGED:
                refuse_strangers(log, self.home, counts.strangers, every, most_unknown)
            if len(events):
                yield from self.told(coming.add(events))
        every = counts.events + counts.strangers.total()
        refuse_strangers(log, self.home, counts.strangers, every, most_unknown)
        last = coming.end()
        if last is not None:
            yield from self.told(last)

    def told(self, told: Told) -> Iterator[ToldWindow]:
        """The windows with their clusters."""
        if not len(told.windows):
            return
        events, first, last = told.events, told.windows.first, told.windows.after - 1
        columns = (
            events.time_us[first],
            events.time_us[last],
            events.line[first],
            told.windows.length,
            self.clusters_of(told),
        )
        for start, end, line, count, cluster in zip(
            *(each.tolist() for each in columns), strict=True
        ):
            name = self.names.get(cluster, "")
            yield ToldWindow(time_text(start), time_text(end), line, count, cluster, name)

    def clusters_of(self, told: Told) -> Ints:
        """The cluster of each window, N."""
        rows = np.arange(len(told.windows))
        begin_N, end_N = np.zeros_like(rows), np.full_like(rows, len(told.events))
        fold = Fold("", rows[:0], rows, begin_N, end_N, self.kept.fitted)
        featurizer, table = self._made_by(told)
        vectors_NW = featurizer.make(self._seen(told, table), fold)
        return self.kept.rule.of(self.kept.reduction.of(vectors_NW))

    def _made_by(self, told: Told) -> tuple[Featurizer, pa.Table]:
        """What makes the vectors, and the table that it reads of the windows."""
        if self.kept.features not in LEARNED:
            return hand_made(self.kept.features), pa.table({})
        assert self.model is not None
        table, words = windows_with_ids(self.kept.known, told.events, told.windows, self.home)
        vectors_NT = torch.from_numpy(self.model.vectors_of(words))
        # Anew each time: a featurizer remembers the vectors that it made.
        return learned(self.kept.features, self.model.model, vectors_NT), table

    def _seen(self, told: Told, table: pa.Table) -> SeenWindows:
        events, coding = told.events, self.kept.coding
        nothing_E = np.zeros(len(events), dtype=np.int64)
        of_home = coding.homes.index(self.home.home) * len(coding.sensors)
        sensor, state = (_codes(names) for names in (coding.sensors, coding.states))
        sensor_K = [
            of_home + sensor[name] if name in sensor else UNKNOWN for name in events.sensor.names
        ]
        state_K = [state.get(name, UNKNOWN) for name in events.state.names]
        return SeenWindows(
            table,
            ("new",),
            np.zeros(len(told.windows), dtype=np.int64),
            told.windows,
            events.time_us,
            np.array(sensor_K, dtype=np.int64)[events.sensor.codes],
            np.array(state_K, dtype=np.int64)[events.state.codes],
            nothing_E,
            nothing_E,
            has_context=True,
        )


def _codes(names: Sequence[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(names)}


def _named(folder: Path) -> Mapping[int, str]:
    about = read_sealed(folder / "clusters.json", hint="`casas-ray cluster` makes it anew.")
    return Names.of(folder, str(about.get("clustering"))).by_cluster


def refuse_strangers(
    log: Path, home: Home, strangers: Counter[str], events: int, most: float
) -> None:
    """Refuse a log of which too large a share of events is of sensors that the home does not know.

    Raises:
        DataError: it is such a log.
    """
    share = strangers.total() / max(1, events)
    if share <= most:
        return
    named = ", ".join(f"{name} ({count:,})" for name, count in strangers.most_common(5))
    raise DataError(
        f"{shown(log)}: {share:.0%} of its events are of {len(strangers)} sensors that home "
        f"'{home.home}' does not know: {named}.",
        hint="is it another home's log? else prepare, train and group again with such days.",
    )
