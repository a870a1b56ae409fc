"""What a set tells of itself: counts to check before believing anything trained on it."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict

from casas_ray.config import DataConfig
from casas_ray.corpus.activities import resident_of
from casas_ray.corpus.clean import Cleaned
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_SECOND, Events, date_text
from casas_ray.corpus.raw_log import RawLog
from casas_ray.corpus.split import SPLITS, Days
from casas_ray.corpus.vocab import Vocabulary
from casas_ray.corpus.windows import Windows

_EXAMPLES = 3


class _Part(BaseModel):
    # Strict, since readers take what stands in the file, not what was understood of it.
    model_config = ConfigDict(strict=True, extra="allow")


class _Log(_Part):
    lines: int


class _Home(_Part):
    log: _Log
    used: int
    quarantined: dict[str, int]
    dropped_by_type: dict[str, int]
    noticed: dict[str, int]
    sensors_by_room: dict[str, int]
    days: dict[str, list[str]]
    activities_by_resident: dict[str, int]
    coverage: dict[str, float]
    notes: list[str] = []


class _Captions(_Part):
    distinct: int
    shared_by_split: dict[str, float]
    examples: list[str]


class _Source(_Part):
    name: str
    sha256: str


def _trained_on(windows: dict[str, int]) -> dict[str, int]:
    if not all(windows.get(split, 0) > 0 for split in ("train", "val")):
        raise ValueError("wanted some for train and some for val")
    return windows


class Manifest(_Part):
    """What must stand in a `manifest.json`, so that who reads it need not look again."""

    fingerprint: str
    home: str
    simulated: bool
    caveats: list[str]
    homes: dict[str, _Home]
    fields: dict[str, int]
    windows: Annotated[dict[str, int], AfterValidator(_trained_on)]
    captions: _Captions
    notes: list[str] = []
    labels: dict[str, dict[str, int]] = {}
    events_per_window: dict[str, float] = {}
    files: dict[str, str] = {}
    sources: dict[str, _Source] = {}


class Part(Protocol):
    """What is asked of one home's part of a set."""

    @property
    def name(self) -> str: ...
    @property
    def log(self) -> RawLog: ...
    @property
    def cleaned(self) -> Cleaned: ...
    @property
    def days(self) -> Days: ...
    @property
    def windows(self) -> dict[str, Windows]: ...


class Diversity:
    """How far captions tell windows apart."""

    def __init__(self) -> None:
        self._ids: dict[str, list[NDArray[np.int32]]] = {}

    def add(self, split: str, caption_ids: Sequence[NDArray[np.int32]]) -> None:
        """Count more windows of a split, by the ids of their captions."""
        self._ids.setdefault(split, []).extend(caption_ids)

    def shared(self, split: str) -> float:
        """Share of the split's windows with a caption that another of its windows has too."""
        # A window may hold one caption several times; it shares it with no other by that.
        rows = [np.unique(row) for row in self._ids.get(split, [])]
        if not rows:
            return 0.0
        having = np.bincount(np.concatenate(rows))
        return sum(bool((having[row] > 1).any()) for row in rows) / len(rows)

    def distinct(self, split: str) -> int:
        """Different captions in the split."""
        rows = self._ids.get(split, [])
        return len(np.unique(np.concatenate(rows))) if rows else 0

    def _all(self, split: str) -> NDArray[np.int32]:
        return np.concatenate(self._ids[split])

    def report(self, captions: Sequence[str]) -> dict[str, object]:
        """The captions' part of a manifest."""
        splits = list(self._ids)
        return {
            "distinct": len(np.unique(np.concatenate([self._all(split) for split in splits]))),
            "distinct_by_split": {split: self.distinct(split) for split in splits},
            "shared_by_split": {split: round(self.shared(split), 4) for split in splits},
            "examples": list(captions[:_EXAMPLES]),
        }


def manifest_of(
    parts: Sequence[Part],
    config: DataConfig,
    vocabulary: Vocabulary,
    captions: dict[str, object],
) -> dict[str, object]:
    """The manifest but for the fingerprint; `captions` is what their Diversity reports."""
    return {
        "home": config.label,
        "simulated": config.simulated,
        "caveats": list(config.caveats),
        "settings": config.of_set.told(),
        "homes": {part.name: _of_home(part) for part in parts},
        "fields": vocabulary.sizes(),
        "windows": {split: sum(len(part.windows[split]) for part in parts) for split in SPLITS},
        "events_per_window": _lengths(parts),
        "labels": {split: _label_counts(parts, split) for split in SPLITS},
        "captions": captions,
    }


def _of_home(part: Part) -> dict[str, object]:
    cleaned, events = part.cleaned, part.cleaned.events
    residents = Counter(resident_of(activity.label) for activity in cleaned.activities)
    return {
        "log": {
            "name": part.log.path.name,
            "shape": part.log.dialect.shape,
            "lines": part.log.total,
        },
        "used": len(events),
        "quarantined": part.log.reasons(),
        "dropped_by_type": cleaned.dropped_types,
        "noticed": cleaned.noticed,
        "notes": list(cleaned.notes),
        "facts": "derived from the log" if cleaned.home.derived else "data/homes",
        "sensors_by_room": _sensors_by_room(cleaned),
        "days": {split: [date_text(day) for day in part.days.of(split)] for split in SPLITS},
        "activities_by_resident": {name: count for name, count in residents.items() if name},
        "coverage": _coverage(events),
    }


def _coverage(events: Events) -> dict[str, float | int]:
    days = np.unique(events.day)
    labelled = events.label.codes != _code(events, NO_ACTIVITY)
    return {
        "labelled_events": round(float(labelled.mean()), 4),
        "days_with_events": len(days),
        "days_from_first_to_last": int(days[-1] - days[0]) + 1,
        "longest_silence_hours": round(
            float(np.diff(events.time_us).max(initial=0)) / US_PER_SECOND / 3600, 1
        ),
    }


def _code(events: Events, label: str) -> int:
    return events.label.names.index(label) if label in events.label.names else -1


def _sensors_by_room(cleaned: Cleaned) -> dict[str, int]:
    rooms = [cleaned.home.sensors[name].room for name in cleaned.events.sensor.names]
    return {room: rooms.count(room) for room in sorted(set(rooms))}


def _lengths(parts: Sequence[Part]) -> dict[str, float]:
    lengths = np.concatenate([part.windows["train"].length for part in parts])
    quantiles = np.quantile(lengths, [0.0, 0.5, 1.0]).tolist()
    return dict(zip(("least", "median", "most"), quantiles, strict=True))


def _label_counts(parts: Sequence[Part], split: str) -> dict[str, int]:
    """Events by label, most first."""
    total: Counter[str] = Counter()
    for part in parts:
        events = part.cleaned.events
        rows = np.flatnonzero(np.isin(events.day, part.days.of(split)))
        total.update(events.label.take(rows).counts())
    return dict(total.most_common())
