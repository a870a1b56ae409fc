"""A log as it comes: its events piece by piece, in the order of time, without what came before.

What needs a whole log is not done here: lines are sorted within seconds alone, activities are not
read, and a clock that was put back is not understood.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.detect import detect_dialect
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_SECOND, Coded, Events
from casas_ray.corpus.facts import fault_of
from casas_ray.corpus.homes import Home
from casas_ray.corpus.log import LogReader
from casas_ray.corpus.piped import Lines, coming_lines
from casas_ray.corpus.raw_log import RawLog, Said
from casas_ray.corpus.refusals import partly
from casas_ray.corpus.sensor_names import MEASURED
from casas_ray.errors import DataError
from casas_ray.files import shown

_LEAST_JUDGED = 200
"""Lines that are waited for, to see how the log is written."""

_LATE_SECONDS = 10
"""Loggers write events some milliseconds late; who is later than this is no matter of writing."""

_FEW_UNFIT, _MOST_UNFIT = 10, 0.2
_MOST_MEANINGS = 100_000
_ROW = ("time_us", "said", "number")
_SWITCHED = {"0": "OFF", "0.0": "OFF", "1": "ON", "1.0": "ON"}


@dataclass
class Counts:
    """What was seen of a log so far."""

    lines: int = 0
    events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Lines that are no events of the home, by reason; those of unknown sensors are not among
    them."""

    strangers: Counter[str] = field(default_factory=Counter)
    """Events of sensors that the home does not know, by sensor."""


class _Meant(NamedTuple):
    """What lines that say the same are to this home."""

    sensor: int
    """Its index; -1 for what is no event of the home."""

    state: str
    reason: str = ""
    """Why it is none."""

    stranger: str = ""
    """The sensor, where the home does not know it."""


class _Rows(NamedTuple):
    """Lines that are events of the home."""

    time_us: NDArray[np.int64]
    said: NDArray[np.int32]
    line: NDArray[np.int64]

    def at(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> "_Rows":
        return _Rows(self.time_us[rows], self.said[rows], self.line[rows])

    def and_then(self, other: "_Rows") -> "_Rows":
        return _Rows(
            np.concatenate([self.time_us, other.time_us]),
            np.concatenate([self.said, other.said]),
            np.concatenate([self.line, other.line]),
        )


_NO_ROWS = _Rows(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))


class LiveLog:
    """A log of a known home, read once from its first line on."""

    def __init__(
        self,
        path: Path,
        home: Home,
        states: Sequence[str],
        drop_types: Sequence[str],
        counts: Counts,
    ) -> None:
        self.counts = counts
        self._path, self._home = path, home
        self._names = tuple(home.sensors)
        self._index = {name: code for code, name in enumerate(self._names)}
        self._states, self._drop_types = frozenset(states), frozenset(drop_types)
        self._meant: list[_Meant] = []
        """By meaning of the log."""

        self._unfit = 0
        self._last_us, self._newest_us, self._newest_line = -(1 << 62), -(1 << 62), 0
        self._waiting = _NO_ROWS
        """Events that an earlier one may still come before."""

        self._said_last: NDArray[np.int32] = np.empty(0, np.int32)
        """What was said at the last moment."""

    def pieces(self) -> Iterator[Events]:
        """The events, some at a time; a piece may be empty.

        Raises:
            DataError: it looks like no log, or a line stands before an earlier one in time.
        """
        coming = coming_lines(self._path)
        head: Lines = []
        for piece in coming:
            head += piece
            if len(head) >= _LEAST_JUDGED:
                break
        dialect, head = detect_dialect(self._path, iter(head))
        reader = LogReader(RawLog(self._path, dialect))
        yield self._events(reader, head)
        for piece in coming:
            yield self._events(reader, piece)
            if len(self._meant) > _MOST_MEANINGS:  # numbers, of which a log may have any
                yield self._released(len(self._waiting.time_us))
                reader = LogReader(RawLog(self._path, dialect))
                self._meant, self._said_last = [], np.empty(0, np.int32)
        yield self._released(len(self._waiting.time_us))

    def _events(self, reader: LogReader, piece: Lines) -> Events:
        log = reader.log
        reader.read(piece)
        self.counts.lines = log.total
        self._unfit += len(reader.unfit)
        if self._unfit > max(_FEW_UNFIT, _MOST_UNFIT * log.total):
            raise partly(self._path, reader.unfit[0], self._unfit, log.total)
        # Whatever is kept of lines grows with the log.
        reader.unfit.clear()
        self.counts.left_out.update(row.reason for row in log.rejected)
        log.rejected.clear()
        self._meant += [self._meaning(said) for said in log.meanings[len(self._meant) :]]
        rows = reader.taken()
        return self._in_order(
            _Rows(
                *(
                    np.concatenate([getattr(each, name)[each.is_event] for each in rows])
                    for name in _ROW
                )
            )
        )

    def _meaning(self, said: Said) -> _Meant:
        value = said.value
        if value in _SWITCHED and value not in self._states and said.type not in MEASURED:
            value = _SWITCHED[value]
        fault = fault_of(said.sensor, said.type, value, self._home, self._drop_types)
        if not fault.reason:
            return _Meant(self._index[said.sensor], value)
        is_known = said.sensor in self._index or bool(fault.dropped_type)
        return _Meant(-1, value, fault.reason, "" if is_known else said.sensor)

    def _in_order(self, rows: _Rows) -> Events:
        self._count(rows.said)
        sensor_K = np.array([each.sensor for each in self._meant], dtype=np.int32)
        rows = rows.at(sensor_K[rows.said] >= 0)
        self._refuse_disorder(rows.time_us, rows.line)
        waiting = self._waiting.and_then(rows)
        self._waiting = waiting.at(np.argsort(waiting.time_us, kind="stable"))
        until_us = self._newest_us - _LATE_SECONDS * US_PER_SECOND
        return self._released(int(np.searchsorted(self._waiting.time_us, until_us, side="right")))

    def _released(self, count: int) -> Events:
        """The first of those that wait, for nothing comes before them any more."""
        rows, self._waiting = self._waiting.at(slice(count)), self._waiting.at(slice(count, None))
        time_us, said, line = rows.at(self._said_once(rows.time_us, rows.said))
        self.counts.events += len(time_us)
        if len(time_us):
            self._last_us = int(time_us[-1])
        sensor_K = np.array([each.sensor for each in self._meant], dtype=np.int32)
        state = Coded.of([each.state for each in self._meant])
        return Events(
            time_us,
            line,
            Coded(sensor_K[said], self._names),
            Coded(state.codes[said], state.names),
            Coded(np.zeros(len(time_us), np.int32), (NO_ACTIVITY,)),
        )

    def _count(self, said: NDArray[np.int32]) -> None:
        counted = np.bincount(said, minlength=len(self._meant)).tolist()
        for meant, count in zip(self._meant, counted, strict=True):
            if count and meant.stranger:
                self.counts.strangers[meant.stranger] += count
            elif count and meant.reason:
                self.counts.left_out[meant.reason] += count

    def _refuse_disorder(self, time_us: NDArray[np.int64], line: NDArray[np.int64]) -> None:
        """Refuse a line that is long before an earlier one, and remember the newest."""
        if not len(time_us):
            return
        newest_us = np.maximum.accumulate(np.concatenate([[self._newest_us], time_us]))
        late = np.flatnonzero(time_us < newest_us[:-1] - _LATE_SECONDS * US_PER_SECOND)
        if len(late):
            row = int(late[0])
            before_us = int(newest_us[row])
            earlier = np.flatnonzero(time_us[:row] == before_us)
            before = int(line[earlier[0]]) if len(earlier) else self._newest_line
            raise DataError(
                f"{shown(self._path)}, line {line[row]}: {_moment(int(time_us[row]))} is before "
                f"{_moment(before_us)} of line {before}.",
                hint="lines are read once, in order of time: sort them by it first.",
            )
        if newest_us[-1] > self._newest_us:
            self._newest_us = int(newest_us[-1])
            self._newest_line = int(line[np.argmax(time_us)])

    def _said_once(self, time_us: NDArray[np.int64], said: NDArray[np.int32]) -> NDArray[np.bool_]:
        """The events that do not say again what was said at that very moment; of whole seconds all
        of them, for within one a sensor may well say the same twice."""
        again = (time_us == self._last_us) & np.isin(said, self._said_last)
        order = np.lexsort((np.arange(len(said)), said, time_us))
        same = (np.diff(time_us[order]) == 0) & (np.diff(said[order]) == 0)
        again[order[1:][same]] = True
        if len(time_us):
            now = said[time_us == time_us[-1]]
            earlier = self._said_last if time_us[-1] == self._last_us else now[:0]
            self._said_last = np.concatenate([earlier, now])
        return ~again | (time_us % US_PER_SECOND == 0)


def _moment(time_us: int) -> str:
    return str(np.datetime64(time_us, "us")).replace("T", " ").removesuffix(".000000")
