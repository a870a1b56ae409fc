"""Logs of intervals, as other public homes come: a sensor from its start to its end, and activities
in a second file. They become one log of events, ON at the start and OFF at the end, in which
activities begin and end on lines of their own, so that those which overlap are kept.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from casas_ray.corpus.annotation import BEGIN, END, Grammar
from casas_ray.corpus.detect import Reading, form_of, readings_of, sampled
from casas_ray.corpus.dialect import columns_of, is_state, is_value
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.interval_columns import (
    IntervalColumns,
    clock_seconds,
    columns_from,
    named_columns,
)
from casas_ray.corpus.log import ACTIVITY_LINE, read_log
from casas_ray.corpus.log_text import numbered_lines
from casas_ray.corpus.raw_log import RawLog
from casas_ray.corpus.sensor_names import is_type, type_family, type_from_name
from casas_ray.corpus.stamps import NO_TIME, StampForm
from casas_ray.errors import DataError
from casas_ray.files import shown

_LENGTH = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d*)?)")
_LONGEST_SECONDS = 60 * 86_400.0
"""Of a holiday, say; a longer one is a wrong year."""

_MOST = 0.8
_FEW_VALUES = 3
_FORM = StampForm()
_A = {"sensor": "a sensor", "activity": "an activity"}
_CLEAN = re.compile(r"[\s()\[\]#=;,\"'“”‘’]+")
# At one moment: an activity ends that begins again, others begin, sensors change, others end.
_ENDS_FIRST, _BEGINS, _OFF, _ON, _OFF_AT_ONCE, _ENDS_LAST = range(6)


class Interval(NamedTuple):
    """A sensor or an activity from a moment to another, and the line that says so."""

    number: int
    first_us: int
    last_us: int
    name: str
    room: str = ""
    type: str = ""


@dataclass(frozen=True)
class IntervalFile:
    """The intervals of a file, its lines that hold none, and what has to be said of it."""

    intervals: list[Interval]
    others: list[tuple[int, str]]
    notes: list[str]


def is_interval_log(path: Path) -> bool:
    """Whether a file has a start and an end, or a length, on its lines, and no states.

    Raises:
        DataError: it cannot be read.
    """
    lines = [pair for pair, _ in zip(numbered_lines(path), range(2_000), strict=False)]
    texts = [text for _, text in lines]
    best = _best(sampled(lines))
    found = columns_from(best, texts) if best else None
    if best is None or found is None:
        return False
    values = _values(best)
    if not best.fitting or not any(map(is_state, values)):
        # Numbers that differ are values, and the second time is when they were sent.
        is_close = found.end is None or found.end.before == found.start.before + found.start.takes
        return is_close or len(values) < _FEW_VALUES
    # Beside its end, ON at the start goes without saying; a log of events says OFF too.
    return len(values) == 1 and found.end is not None and _lengths_differ(texts, found)


def _values(reading: Reading) -> set[str]:
    at = reading.value_at
    return {rest[at] for rest in reading.rests if at and len(rest) > at and is_value(rest[at])}


def _lengths_differ(texts: Sequence[str], columns: IntervalColumns) -> bool:
    """Whether the second time comes later than the first, and not always by as much."""
    found = [each for n, text in enumerate(texts) if (each := _interval(n, text, columns, _FORM))]
    lengths = {each.last_us - each.first_us for each in found}
    return len(found) >= _MOST * len(texts) and len(lengths) > _FEW_VALUES


def _best(sample: Sequence[str]) -> Reading | None:
    # A length after a comma is no fraction of a second. And a reading that finds two times where
    # another finds one has split the line better.
    readings = [each for each in readings_of(sample) if not each.place.fraction]
    return max(readings, key=lambda each: (len(each.stamps), each.second_time > 0), default=None)


def read_intervals(path: Path, named: str = "", *, what: str = "sensor") -> IntervalFile:
    """The intervals of a file; its columns are told from it, or named: `start,end,sensor`.

    Raises:
        DataError: it cannot be read, or has no intervals.
        SettingsError: a column is named as nothing that an interval has.
    """
    lines = list(numbered_lines(path))
    reading = _best(sampled(lines))
    if reading is None:
        raise _no_intervals(path, what)
    texts = [text for _, text in lines]
    columns = named_columns(named, reading, texts, what) if named else columns_from(reading, texts)
    if columns is None:
        raise _no_intervals(path, what)
    form, notes = form_of(reading)
    found = [(number, text, _interval(number, text, columns, form)) for number, text in lines]
    intervals = [interval for _, _, interval in found if interval]
    if not intervals:
        raise _no_intervals(path, what)
    others = [(number, text) for number, text, interval in found if not interval and text.strip()]
    said = [f"{path.name}: {note}" for note in notes if "two times" not in note]
    return IntervalFile(intervals, others, [*said, f"{path.name}: read as {columns.in_words()}"])


def _no_intervals(path: Path, what: str) -> DataError:
    return DataError(
        f"{shown(path)}: none of its lines holds a start, an end or a length in seconds, and "
        f"{_A[what]}.",
        hint=f"name its columns in order, such as start,end,{what} or start,length,{what}; "
        "`-` for one that is to be passed over.",
    )


def _interval(number: int, text: str, columns: IntervalColumns, form: StampForm) -> Interval | None:
    found = columns.fields(columns_of(text, columns.separator))
    if found is None:
        return None
    first_us, _ = form.moment(found["start"])
    last_us = _end(found, first_us, form)
    if first_us == NO_TIME or last_us < first_us or not found["name"]:
        return None
    if last_us - first_us > _LONGEST_SECONDS * US_PER_SECOND:
        return None
    room, kind = found.get("room", ""), found.get("type", "")
    return Interval(number, first_us, last_us, found["name"], room, kind)


def _end(found: Mapping[str, str], first_us: int, form: StampForm) -> int:
    if "end" in found:
        return form.moment(found["end"])[0]
    if "clock" in found:
        return _by_clock(found["clock"], first_us)
    length = found.get("length", "")
    if in_words := _LENGTH.fullmatch(length):
        minutes = int(in_words["hours"] or 0) * 60 + int(in_words["minutes"])
        seconds = minutes * 60 + float(in_words["seconds"])
    else:
        try:
            seconds = float(length)
        except ValueError:
            return NO_TIME
    # NaN compares false with everything, and is refused by that.
    return first_us + round(seconds * US_PER_SECOND) if 0 <= seconds < 1e9 else NO_TIME


def _by_clock(text: str, first_us: int) -> int:
    seconds = clock_seconds(text)
    if seconds is None or first_us == NO_TIME:
        return NO_TIME
    last_us = first_us // US_PER_DAY * US_PER_DAY + round(seconds * US_PER_SECOND)
    return last_us if last_us >= first_us else last_us + US_PER_DAY  # past midnight


class _Row(NamedTuple):
    time_us: int
    order: int
    columns: tuple[str, ...]


def joined(
    log: Path, activities: Path | None, *, columns: str = "", activity_columns: str = ""
) -> tuple[str, list[str]]:
    """The text of one log made of a file of sensors, as intervals or as events, and a file of
    activities; and what a user has to know of how they were understood.

    Raises:
        DataError: one of them cannot be read, or is something else.
        SettingsError: a column is named as nothing that an interval has.
    """
    if columns or is_interval_log(log):
        sensors = read_intervals(log, columns)
        rows, others, notes = list(_firings(sensors.intervals)), sensors.others, sensors.notes
    else:
        raw = read_log(log)
        rows, others, notes = list(_events(raw)), [], list(raw.notes)
    if activities is not None:
        annotated = read_intervals(activities, activity_columns, what="activity")
        spans, merged = _merged(annotated.intervals)
        rows += _marks(spans)
        others = others + annotated.others
        notes += annotated.notes
        if merged:
            notes.append(f"{merged} activities overlap others of the same name; joined to one each")
    rows.sort(key=lambda row: row[:2])
    lines = [f"{_stamp(row.time_us)}\t" + "\t".join(row.columns) for row in rows]
    # Kept where they can be seen; as no line begins with text, they are set aside and counted.
    lines += [f"not understood, line {number}: {text}" for number, text in others]
    return "\n".join(lines) + "\n", notes


def _firings(intervals: Sequence[Interval]) -> Iterator[_Row]:
    for each in intervals:
        off = _OFF_AT_ONCE if each.first_us == each.last_us else _OFF
        yield _Row(each.first_us, _ON, _said(each.name, "ON", each.room, each.type))
        yield _Row(each.last_us, off, _said(each.name, "OFF", each.room, each.type))


def _said(sensor: str, value: str, room: str, kind: str, annotation: str = "") -> tuple[str, ...]:
    name = f"sensor_{sensor}" if sensor.isdecimal() else _cell(sensor)
    kind = type_family(kind) if is_type(kind) else type_from_name(name)
    room = _cell(room) or "Ignore"
    return (name, room, room, value, f"Sensor-{kind}", *([annotation] if annotation else []))


def _cell(text: str) -> str:
    return " ".join(text.split())


def _events(log: RawLog) -> Iterator[_Row]:
    for row in np.flatnonzero(log.is_event).tolist():
        said = log.meanings[log.said[row]]
        marks = " ".join(f"{activity} {kind}" for activity, kind in said.marks) or said.label
        yield _Row(
            int(log.time_us[row]),
            _ON,
            _said(said.sensor, said.value, said.room, said.type, marks),
        )


def _merged(intervals: Sequence[Interval]) -> tuple[list[Interval], int]:
    """Activities in which none overlaps another of its name, and how many were joined for it."""
    merged: list[Interval] = []
    latest: dict[str, int] = {}
    joined = 0
    for each in sorted(intervals, key=lambda interval: interval.first_us):
        at = latest.get(each.name)
        if at is not None and each.first_us < merged[at].last_us:
            joined += 1
            last_us = max(merged[at].last_us, each.last_us)
            merged[at] = merged[at]._replace(last_us=last_us)
        else:
            latest[each.name] = len(merged)
            merged.append(each)
    return merged, joined


def _marks(spans: Sequence[Interval]) -> Iterator[_Row]:
    begins = {(span.name, span.first_us) for span in spans}
    for span in spans:
        label = _label(span.name)
        goes_on = (span.name, span.last_us) in begins and span.last_us > span.first_us
        yield _Row(span.first_us, _BEGINS, _mark(label, BEGIN))
        yield _Row(span.last_us, _ENDS_FIRST if goes_on else _ENDS_LAST, _mark(label, END))


def _mark(label: str, kind: str) -> tuple[str, ...]:
    return ACTIVITY_LINE, "Ignore", "Ignore", kind.upper(), "Sensor-mark", f"{label} {kind}"


def _label(name: str) -> str:
    """The name in such letters that its begins and ends are read as nothing else."""
    if name.isdecimal():
        return f"activity_{name}"
    words = [word for word in _CLEAN.split(name) if word]
    alone = any(Grammar(starts=True).mark(word) for word in words)
    return ("_" if alone else " ").join(words) or "activity"


def _stamp(time_us: int) -> str:
    return str(np.datetime64(time_us, "us")).replace("T", " ")
