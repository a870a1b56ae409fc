"""From a log's lines to the event table: sorted, typed by the home's facts, labelled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus import clocks
from casas_ray.corpus.activities import Mark, Span, label_rows, runs_of, spans_of
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_DAY, Coded, Events, date_text
from casas_ray.corpus.facts import facts_for, faults
from casas_ray.corpus.homes import Home
from casas_ray.corpus.labels import alone, named_by_marks
from casas_ray.corpus.raw_log import RawLog, Rejected
from casas_ray.corpus.sensor_health import bouncing, remarks
from casas_ray.corpus.stamps import NO_TIME
from casas_ray.errors import DataError
from casas_ray.files import shown

_MANY_SINGLE = 5


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

    notes: tuple[str, ...] = ()
    """What a user has to know of how the log was understood, in sentences."""


@dataclass(frozen=True)
class _Sorted:
    """The rows of a log that count, in the order of time, ties in the log's order."""

    rows: NDArray[np.int64]
    time_us: NDArray[np.int64]
    noticed: Counter[str]


def clean(
    log: RawLog,
    home: Home | None,
    *,
    name: str,
    drop_types: Sequence[str],
    debounce_seconds: float = 0.0,
) -> Cleaned:
    """The log as events of a home; unusable lines are moved to `log.rejected`, and with
    `debounce_seconds` those of sensors that bounce.

    Raises:
        DataError: nothing is left.
    """
    facts, notes = facts_for(log, home, name)
    ordered = _in_time_order(log)
    kept, dropped = _wanted(log, ordered, facts, frozenset(drop_types))
    if debounce_seconds:
        kept = _settled(log, ordered, kept, debounce_seconds)
    labels, spans = _labels(log, ordered, kept)
    types = dict(Counter(row.reason.rpartition(" ")[2] for row in dropped))
    if not len(kept):
        raise DataError(
            f"{shown(log.path)}: no event is left for home '{facts.home}'.",
            hint=f"lines were set aside for: {log.reasons() | types}",
        )
    rows = ordered.rows[kept]
    said = [log.meanings[code] for code in log.said[rows].tolist()]
    events = Events(
        time_us=ordered.time_us[kept],
        line=log.number[rows],
        sensor=Coded.of([each.sensor for each in said]),
        state=Coded.of([each.value for each in said]),
        label=Coded.of([labels[row] for row in kept.tolist()]),
    )
    activities = _activities(spans, kept, ordered.time_us)
    noticed = dict(+ordered.noticed)
    notes += [*_on_single_lines(log, activities), *remarks(events)]
    return Cleaned(events, facts, activities, dropped, types, noticed, (*log.notes, *notes))


def _settled(
    log: RawLog, ordered: _Sorted, kept: NDArray[np.int64], seconds: float
) -> NDArray[np.int64]:
    """The rows of events without those of sensors that bounce, which are set aside."""
    rows = ordered.rows[kept]
    said = [log.meanings[code] for code in log.said[rows].tolist()]
    sensor, state = (
        Coded.of(values).codes
        for values in ([each.sensor for each in said], [each.value for each in said])
    )
    bounces = bouncing(ordered.time_us[kept], sensor, state, seconds)
    for row in rows[bounces].tolist():
        log.reject_row(row, "its sensor bounces")
    return kept[~bounces]


def _on_single_lines(log: RawLog, activities: Sequence[Activity]) -> list[str]:
    """What to say of activities that neither begin nor end, and hold one event each."""
    if any(said.marks for said in log.meanings):
        return []
    single = [each.label for each in activities if each.first_event == each.last_event]
    if len(single) < max(_MANY_SINGLE, 0.6 * len(activities)):
        return []
    labels = ", ".join(f"'{label}'" for label in list(dict.fromkeys(single))[:4])
    return [
        f"{len(single)} of {len(activities)} activities hold one event; if {labels} are begins and "
        "ends, they are not read as such"
    ]


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


def _in_time_order(log: RawLog) -> _Sorted:
    noticed = log.counted()
    _set_aside_unset(log)
    rows = np.arange(len(log.number))
    marked = np.array([bool(each.marks) for each in log.meanings], np.bool_)
    counts = log.is_event | marked[log.said]
    timed = log.time_us != NO_TIME
    twice = clocks.hours_twice(log.time_us[timed], log.zone[timed])
    second = np.zeros(len(rows), np.bool_)
    for hour in twice:
        second[np.flatnonzero(timed)[hour.first : hour.first + hour.repeated]] = True
    repeated = np.zeros(len(rows), np.bool_)
    repeated[timed] = clocks.repeats(log.time_us[timed], log.said[timed], second[timed])
    _set_aside_repeats(log, repeated)
    stays = counts & ~repeated
    return _sorted(log, rows[stays], timed[stays], noticed)


def _sorted(
    log: RawLog, rows: NDArray[np.int64], timed: NDArray[np.bool_], noticed: Counter[str]
) -> _Sorted:
    written = log.time_us[rows]
    twice = clocks.hours_twice(written[timed], log.zone[rows][timed])
    times = np.full(len(rows), NO_TIME)
    times[timed] = clocks.fitted(written[timed], twice)
    noticed["line of an hour that came twice"] = sum(hour.repeated for hour in twice)
    noticed["line out of order"] = int(np.count_nonzero(np.diff(times[timed]) < 0))
    times = _with_neighbours(times)
    # Stable: lines of one moment keep the log's order, or captions and ids would vary.
    order = np.argsort(times, kind="stable")
    return _Sorted(rows[order], times[order], noticed)


def _with_neighbours(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """A line without a time, kept for its mark, stands where it stands in the file."""
    places = np.where(times != NO_TIME, np.arange(len(times)), -1)
    before = np.maximum.accumulate(places)
    first = int(np.argmax(places >= 0))
    return times[np.where(before >= 0, before, first)]


def _set_aside_unset(log: RawLog) -> None:
    for row in np.flatnonzero(clocks.unset(log.time_us)).tolist():
        if log.is_event[row]:
            log.reject_row(row, f"a clock that was not set: {_year(int(log.time_us[row]))}")
        log.time_us[row], log.is_event[row] = NO_TIME, False


def _year(time_us: int) -> str:
    return date_text(time_us // US_PER_DAY)[:4]


def _set_aside_repeats(log: RawLog, repeated: NDArray[np.bool_]) -> None:
    for row in np.flatnonzero(repeated & log.is_event).tolist():
        log.reject_row(row, "exact repeat of an earlier line")


def _labels(log: RawLog, ordered: _Sorted, kept: NDArray[np.int64]) -> tuple[list[str], list[Span]]:
    """The label of every ordered row, and the activities; `kept` has the rows of events."""
    said = log.said[ordered.rows]
    names, understood = alone(log, said)
    ordered.noticed.update(understood)
    named = [names[code] or NO_ACTIVITY for code in said.tolist()]
    # Among events: a temperature in between is no end of what a label tells.
    runs = [
        Span(int(kept[run.first]), int(kept[run.last]), run.activity)
        for run in runs_of([named[row] for row in kept.tolist()])
    ]
    marks = _marks(log, said, ordered.noticed)
    if not marks:
        return named, runs
    paired = spans_of(marks, runs)
    ordered.noticed.update(paired.irregular)
    spans = sorted(paired.spans, key=lambda span: span.first)
    labels = label_rows(spans, len(said))
    # What a line says itself stands above what is open around it.
    own = (
        label if name == NO_ACTIVITY else name for label, name in zip(labels, named, strict=True)
    )
    return list(own), spans


def _marks(log: RawLog, said: NDArray[np.int32], noticed: Counter[str]) -> list[Mark]:
    # They also act on lines that are no events, or an activity would never end.
    means, reread = named_by_marks(log, said)
    noticed.update(reread)
    marked = np.array([bool(each.marks) for each in log.meanings], np.bool_)
    return [
        Mark(row, means[activity], kind)
        for row in np.flatnonzero(marked[said]).tolist()
        for activity, kind in log.meanings[said[row]].marks
    ]


def _wanted(
    log: RawLog, ordered: _Sorted, home: Home, drop_types: frozenset[str]
) -> tuple[NDArray[np.int64], list[Rejected]]:
    """Which of the ordered rows are events, and the lines left out by type."""
    found = faults(log, home, drop_types)
    dropped: list[Rejected] = []
    is_event = log.is_event[ordered.rows]
    said = log.said[ordered.rows]
    faulty = np.array([bool(fault.reason) for fault in found], np.bool_)[said]
    for index in np.flatnonzero(is_event & faulty).tolist():
        row, fault = int(ordered.rows[index]), found[said[index]]
        if fault.dropped_type:
            dropped.append(Rejected(int(log.number[row]), fault.reason, log.text_of(row)))
        else:
            log.reject_row(row, fault.reason)
    return np.flatnonzero(is_event & ~faulty), dropped
