"""Raw logs of homes: what each line says, and why a line is not used.

How a log writes its lines is decided first (`detect.py`), then every line is read that way: its
time, and what it says besides, which is the same for many lines and looked at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.annotation import BEGIN, NUMBER, Grammar
from casas_ray.corpus.detect import HEAD, detect_dialect
from casas_ray.corpus.dialect import (
    STATE_OF,
    WHITE,
    Dialect,
    columns_of,
    is_state,
    place_of,
    splitter,
)
from casas_ray.corpus.log_text import LONGEST_LINE, numbered_lines
from casas_ray.corpus.raw_log import RawLog, Said
from casas_ray.corpus.refusals import partly
from casas_ray.corpus.sensor_names import MEASURED, is_no_room
from casas_ray.corpus.stamps import NO_TIME, STAMP, begins_with_date, is_time
from casas_ray.errors import DataError
from casas_ray.files import shown

STATES = frozenset(STATE_OF.values())
_PSEUDO_SENSORS = frozenset({"ENTERHOME", "LEAVEHOME"})
ACTIVITY_LINE = "ACTIVITY"
"""The sensor of a line that carries a mark alone; who joins two files writes such lines."""

_NO_STAMP = "no date and time"
_TOO_FEW = "too few fields"
_ANOTHER_FORM = "written in another form than the rest"
_UNFIT = frozenset({_NO_STAMP, _TOO_FEW, _ANOTHER_FORM})
_JOINED = "\x1f"
"""Between columns that were told apart already: no log holds it."""

_FEW_UNFIT = 10
_MOST_UNFIT = 0.2
_MOST_SET_ASIDE = 1_000_000
"""More lines than that are not kept for a log that is mostly none."""


def read_log(path: Path) -> RawLog:
    """Every line of a log, either used or rejected with a reason.

    Raises:
        DataError: the file cannot be read, or most of its lines look like those of no log.
    """
    lines = numbered_lines(path)
    dialect, head = detect_dialect(path, lines)
    reader = LogReader(RawLog(path, dialect, notes=list(dialect.notes)))
    for piece in _pieces(chain(head, lines)):
        reader.read(piece)
    return reader.ended()


def _pieces(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    lines = iter(lines)
    while piece := list(islice(lines, HEAD)):
        yield piece


class Rows(NamedTuple):
    """Columns of a piece of a log, as `RawLog` has them."""

    number: NDArray[np.int64]
    time_us: NDArray[np.int64]
    zone: NDArray[np.int32]
    said: NDArray[np.int32]
    is_event: NDArray[np.bool_]


class LogReader:
    """Reads a log piece by piece into its columns."""

    def __init__(self, log: RawLog) -> None:
        self.log = log
        self._dialect = log.dialect
        self._fast = splitter(log.dialect)
        self._codes: dict[str, int] = {}
        self._index: dict[Said, int] = {}
        self._rows: list[Rows] = []
        self.unfit: list[tuple[int, str]] = []
        """Lines of another form than the rest."""

    def read(self, piece: list[tuple[int, str]]) -> None:
        """Read some more lines."""
        numbers: list[int] = []
        texts: list[str] = []
        stamps: list[str] = []
        codes: list[int] = []
        for number, text in piece:
            if fault := _unreadable(text):
                self.log.reject(number, fault, text)
                continue
            parts = self._fast(text) if self._fast else self._slow(text)
            stamp, rest = parts or (text, "")
            code = self._codes.get(rest)
            numbers.append(number)
            texts.append(text)
            stamps.append(stamp)
            codes.append(self._learn(rest) if code is None else code)
        self.log.total = piece[-1][0]
        if len(self.log.rejected) > max(_MOST_SET_ASIDE, self.log.total // 2):
            raise DataError(
                f"{shown(self.log.path)}: most of its first {self.log.total:,} lines are nothing "
                f"that can be used: {self.log.rejected[-1].reason}."
            )
        self._settle(numbers, texts, stamps, codes)

    def _slow(self, text: str) -> tuple[str, str] | None:
        found = self._dialect.place_in(self._dialect.split(text))
        return (found[0], _JOINED.join(found[1])) if found else None

    def _settle(
        self, numbers: list[int], texts: list[str], stamps: list[str], codes: list[int]
    ) -> None:
        time_us, zone = self._dialect.form.read(stamps)
        said = np.array(codes, dtype=np.int32)
        for row in np.flatnonzero(time_us == NO_TIME).tolist():
            time_us[row], said[row], stamps[row] = self._again(texts[row])
        flaws = np.array([bool(each.flaw) for each in self.log.meanings], dtype=np.bool_)
        # A label may turn out to be a mark when all of them are known.
        marked = np.array([bool(each.marks or each.label) for each in self.log.meanings], np.bool_)
        is_event = (time_us != NO_TIME) & ~flaws[said]
        for row in np.flatnonzero(~is_event).tolist():
            self._set_aside(numbers[row], texts[row], stamps[row], said[row], time_us[row])
        kept = is_event | marked[said]
        number = np.array(numbers, dtype=np.int64)
        self._rows.append(Rows(number[kept], time_us[kept], zone[kept], said[kept], is_event[kept]))

    def _again(self, text: str) -> tuple[int, int, str]:
        """A line whose time did not stand where most have it, read column by column."""
        separator, epoch = self._dialect.separator, self._dialect.form.epoch
        # Where tabs are usual, some lines have spaces in their stead.
        for way in (separator, WHITE) if separator == "\t" else (separator,):
            columns = columns_of(text, way)
            if place := place_of(columns, epoch=epoch):
                time_us, _ = self._dialect.form.moment(place.time_in(columns))
                second = self._dialect.second_time if way == separator else 0
                rest = columns[: place.before] + columns[place.before + place.takes + second :]
                if time_us != NO_TIME or way == WHITE:
                    return time_us, self._code(self._said(rest)), place.time_in(columns)
        return NO_TIME, self._code(self._said([])), ""

    def _set_aside(self, number: int, text: str, stamp: str, code: int, time_us: int) -> None:
        reason = self.log.meanings[code].flaw
        if time_us == NO_TIME and not (stamp and reason):
            is_moment = bool(STAMP.fullmatch(stamp.strip("\"' ")))
            reason = "no such date or time" if is_moment else _NO_STAMP
            if not is_moment and begins_with_date(text):
                reason = _ANOTHER_FORM
        self.log.reject(number, reason, text)
        if reason in _UNFIT:
            self.unfit.append((number, text))

    def _learn(self, rest: str) -> int:
        separator = self._dialect.separator if self._fast else _JOINED
        code = self._codes[rest] = self._code(self._said(columns_of(rest, separator)))
        return code

    def _code(self, said: Said) -> int:
        code = self._index.setdefault(said, len(self._index))
        if code == len(self.log.meanings):
            self.log.meanings.append(said)
        return code

    def _said(self, columns: list[str]) -> Said:
        dialect = self._dialect
        at = dialect.value_at
        if len(columns) <= at:
            return Said("", "", flaw=_TOO_FEW)
        columns = [column.strip("\"'") for column in columns[: at + 1]] + columns[at + 1 :]
        sensor, room = _place_of(columns, dialect)
        value = STATE_OF.get(columns[at].upper(), columns[at])
        found = dialect.grammar.read(columns[dialect.annotation_at :])
        flaw = _flaw(sensor, value, columns, at, found.type)
        return Said(sensor, value, room, found.type, found.label, found.marks, found.notes, flaw)

    def taken(self) -> list[Rows]:
        """The rows that were read since the last time, which are forgotten here."""
        rows, self._rows = self._rows, []
        return rows

    def ended(self) -> RawLog:
        """The log, after its last line.

        Raises:
            DataError: too many lines do not fit, or none is an event.
        """
        log = self.log
        if len(self.unfit) > max(_FEW_UNFIT, _MOST_UNFIT * log.total):
            raise partly(log.path, self.unfit[0], len(self.unfit), log.total)
        rows = self._rows
        log.number = np.concatenate([each.number for each in rows])
        log.time_us = np.concatenate([each.time_us for each in rows])
        log.zone = np.concatenate([each.zone for each in rows])
        log.said = np.concatenate([each.said for each in rows])
        log.is_event = np.concatenate([each.is_event for each in rows])
        if not log.is_event.any():
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in log.reasons().items())
            raise DataError(
                f"{shown(log.path)}: none of its {log.total} lines is a sensor event.",
                hint=f"lines were set aside for: {reasons or 'nothing; it is empty'}",
            )
        resolve_numbers(log)
        resolve_marks(log)
        return log


def resolve_numbers(log: RawLog) -> None:
    """Read 0 and 1 as OFF and ON in a log that has no states and no other numbers."""
    values = {said.value for said in log.meanings if not said.flaw and said.type not in MEASURED}
    if values and values <= {"0", "1", "0.0", "1.0"}:
        log.meanings = [
            said._replace(value="ON" if float(said.value) else "OFF")
            if said.value in values and said.type not in MEASURED
            else said
            for said in log.meanings
        ]
        log.notes.append("values are 0 and 1 only; read as OFF and ON")


def resolve_marks(log: RawLog) -> None:
    """Read labels as marks where all labels together show that marks hang on them, or that
    activities start and stop: the first lines may have had too few."""
    grammar = Grammar.of_labels(
        {said.label for said in log.meanings if said.label},
        has_begins=any(kind == BEGIN for said in log.meanings for _, kind in said.marks),
    )
    if not grammar.starts and not grammar.glued:
        return
    for code, said in enumerate(log.meanings):
        if said.label and (marks := grammar.read([said.label]).marks):
            log.meanings[code] = said._replace(label="", marks=marks)


def _unreadable(text: str) -> str:
    if len(text) > LONGEST_LINE:
        return f"longer than {LONGEST_LINE} characters"
    if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
        return "not UTF-8"
    return "" if text.strip() else "blank line"


def _place_of(columns: Sequence[str], dialect: Dialect) -> tuple[str, str]:
    """The sensor's name, and the area that the log gives it."""
    if dialect.sensor_at is None:
        area, location = columns[0], columns[1]
        return area if area == location else f"{area}.{location}", area
    rooms = [columns[at] for at in [dialect.room_at] if at is not None and at < len(columns)]
    if dialect.value_at > 2:  # a sensor nobody placed may still have a location
        rooms.append(columns[2])
    return columns[dialect.sensor_at], next((room for room in rooms if not is_no_room(room)), "")


def _flaw(sensor: str, value: str, columns: Sequence[str], at: int, kind: str) -> str:
    if is_time(sensor) or not sensor:
        return _ANOTHER_FORM
    if value in STATES or NUMBER.fullmatch(value):
        return "pseudo-sensor" if sensor in _PSEUDO_SENSORS else ""
    if sensor == ACTIVITY_LINE:
        return "an activity's begin or end on a line of its own"
    if kind in MEASURED:  # left out by type, or with a reason of its own, when types are known
        return ""
    if any(is_state(column) for column in columns[at + 1 :]):
        return _ANOTHER_FORM
    return "value is neither a state nor a number"
