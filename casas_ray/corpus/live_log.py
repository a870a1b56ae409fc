"""A log as it comes: its events piece by piece, in the order of time, without what came before.

What needs a whole log is not done here: lines are not sorted, activities are not read, and a clock
that was put back is not understood.
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
        self._last_us, self._last_line = -(1 << 62), 0
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
                reader = LogReader(RawLog(self._path, dialect))
                self._meant, self._said_last = [], np.empty(0, np.int32)

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
            *(
                np.concatenate([getattr(each, name)[each.is_event] for each in rows])
                for name in _ROW
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

    def _in_order(
        self, time_us: NDArray[np.int64], said: NDArray[np.int32], line: NDArray[np.int64]
    ) -> Events:
        sensor_K = np.array([each.sensor for each in self._meant], dtype=np.int32)
        state = Coded.of([each.state for each in self._meant])
        self._count(said)
        kept = sensor_K[said] >= 0
        time_us, said, line = time_us[kept], said[kept], line[kept]
        self._refuse_disorder(time_us, line)
        kept = self._said_once(time_us, said)
        time_us, said, line = time_us[kept], said[kept], line[kept]
        self.counts.events += len(time_us)
        if len(time_us):
            self._last_us, self._last_line = int(time_us[-1]), int(line[-1])
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
        back = np.flatnonzero(np.diff(time_us, prepend=self._last_us) < 0)
        if not len(back):
            return
        row = int(back[0])
        before_us = int(time_us[row - 1]) if row else self._last_us
        before = int(line[row - 1]) if row else self._last_line
        raise DataError(
            f"{shown(self._path)}, line {line[row]}: {_moment(int(time_us[row]))} is before "
            f"{_moment(before_us)} of line {before}.",
            hint="lines are read once, in order of time: sort them by it first.",
        )

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
