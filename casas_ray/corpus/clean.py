"""From a log's lines to the event table: sorted, typed by the home's facts, labelled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.activities import Mark, Span, label_rows, runs_of, spans_of
from casas_ray.corpus.events import NO_ACTIVITY, Coded, Events
from casas_ray.corpus.homes import Home, derived_home
from casas_ray.corpus.log import STATES, Line, RawLog, Rejected, stamps_to_us
from casas_ray.errors import DataError
from casas_ray.files import shown


@dataclass(frozen=True)
class Activity:
    """An activity as it was annotated; several may be open at a time."""

    label: str
    first_event: int
    """The first event at or after its begin; after `last_event` when it holds none."""

    last_event: int
    begin_us: int
    end_us: int


@dataclass(frozen=True)
class Cleaned:
    """The events of a log, and what was noticed on the way."""

    events: Events
    home: Home
    activities: list[Activity] = field(default_factory=list)

    dropped: list[Rejected] = field(default_factory=list)
    """Lines left out because of their sensor's type, in the order of time."""

    dropped_types: dict[str, int] = field(default_factory=dict)
    """How many of them, by type."""

    noticed: dict[str, int] = field(default_factory=dict)
    """Irregularities that were survived: lines out of order, marks without a partner."""


def clean(log: RawLog, home: Home | None, *, name: str, drop_types: Sequence[str]) -> Cleaned:
    """The log as events of a home; unusable lines are moved to `log.rejected`.

    Raises:
        DataError: nothing is left.
    """
    home = home or _home_of(log, name)
    lines, times, out_of_order = _in_time_order(log)
    # Labels before lines are dropped: a begin or an end may stand on a line that is no event.
    labels, spans, noticed = _labels(lines)
    kept, dropped, dropped_types = _wanted(log, lines, home, frozenset(drop_types))
    if not kept:
        raise DataError(
            f"{shown(log.path)}: no event is left for home '{home.home}'.",
            hint=f"lines were set aside for: {log.reasons() | dropped_types}",
        )
    rows = np.asarray(kept, dtype=np.int64)
    events = Events(
        time_us=times[rows],
        line=np.array([lines[row].number for row in kept], dtype=np.int64),
        sensor=Coded.of([lines[row].sensor for row in kept]),
        state=Coded.of([lines[row].value for row in kept]),
        label=Coded.of([labels[row] for row in kept]),
    )
    if out_of_order:
        noticed["line out of order"] = out_of_order
    activities = _activities(spans, rows, times)
    return Cleaned(events, home, activities, dropped, dropped_types, noticed)


def _activities(
    spans: Sequence[Span], kept: NDArray[np.int64], times: NDArray[np.int64]
) -> list[Activity]:
    # Marks may stand on lines that are no events, so they move to the events inside them.
    first = np.searchsorted(kept, [span.first for span in spans], side="left").tolist()
    last = np.searchsorted(kept, [span.last for span in spans], side="right").tolist()
    return [
        Activity(span.activity, start, after - 1, int(times[span.first]), int(times[span.last]))
        for span, start, after in zip(spans, first, last, strict=True)
    ]


def _home_of(log: RawLog, name: str) -> Home:
    usable = [line for line in log.lines if not line.flaw]
    rooms = {line.sensor: line.room for line in usable}
    types = {line.sensor: line.type for line in usable if line.type}
    return derived_home(name, rooms=rooms, types=types)


def _in_time_order(log: RawLog) -> tuple[list[Line], NDArray[np.int64], int]:
    times = stamps_to_us([line.stamp for line in log.lines])
    for row in np.flatnonzero(times < 0).tolist():
        if not log.lines[row].flaw:  # such a one was set aside while reading, with its own reason
            log.reject(log.lines[row].number, "no such date or time", _text(log.lines[row]))
    valid = np.flatnonzero(times >= 0)
    out_of_order = int(np.count_nonzero(np.diff(times[valid]) < 0))
    # Stable: lines of one moment keep the log's order, or captions and ids would vary.
    order = valid[np.argsort(times[valid], kind="stable")]
    return [log.lines[row] for row in order.tolist()], times[order], out_of_order


def _labels(lines: Sequence[Line]) -> tuple[list[str], list[Span], dict[str, int]]:
    if not any(line.mark for line in lines):
        labels = [line.label or NO_ACTIVITY for line in lines]
        return labels, runs_of(labels), {}
    marks = [Mark(row, line.label, line.mark) for row, line in enumerate(lines) if line.mark]
    paired = spans_of(marks)
    spans = sorted(paired.spans, key=lambda span: span.first)
    return label_rows(spans, len(lines)), spans, dict(paired.irregular)


def _wanted(
    log: RawLog, lines: Sequence[Line], home: Home, drop_types: frozenset[str]
) -> tuple[list[int], list[Rejected], dict[str, int]]:
    """The rows of events, and the lines left out by type with their numbers by type."""
    kept: list[int] = []
    dropped: list[Rejected] = []
    types: Counter[str] = Counter()
    for row, line in enumerate(lines):
        if line.flaw:  # rejected while reading; kept so far for its mark alone
            continue
        sensor = home.sensors.get(line.sensor)
        if sensor is None:
            log.reject(line.number, f"sensor not in home {home.home}", _text(line))
        elif sensor.type in drop_types:
            dropped.append(Rejected(line.number, f"left out by type: {sensor.type}", _text(line)))
            types[sensor.type] += 1
        elif line.value not in STATES:
            log.reject(line.number, f"a number from a {sensor.type} sensor", _text(line))
        else:
            kept.append(row)
    return kept, dropped, dict(types)


def _text(line: Line) -> str:
    """What a line said, with single spaces."""
    parts = (line.stamp, line.sensor, line.value, line.label, line.mark)
    return " ".join(part for part in parts if part)
