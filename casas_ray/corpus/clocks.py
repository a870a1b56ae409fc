"""What clocks do to a log: moments nobody lived in, hours that come twice, exports that overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.stamps import NO_TIME, NO_ZONE

Times = NDArray[np.int64]
Rows = NDArray[np.bool_]

_HOUR = 3600 * US_PER_SECOND
_MINUTE = 60 * US_PER_SECOND
_APART_DAYS = 366
_RARE = 0.02
_DOUBLED, _LEAST_DOUBLED = 0.45, 50
"""A log of so many lines, of which more repeat others, was written twice, line by line."""
_NO_HOMES_BEFORE = np.datetime64("1990-01-01", "us").astype(np.int64)
# Where clocks begin that were never set, and how long such a span may last.
_BEGINNINGS = ("1970-01-01", "1980-01-01", "1999-12-31", "2000-01-01", "2001-01-01", "2010-01-01")
_DAYS_UNSET = 40
_MOST_NIGHTS = 100
_AUTUMN = (2, 3, 4, 9, 10, 11)
"""Months in which clocks go back, on either half of the earth."""


def unset(time_us: Times) -> Rows:
    """The rows whose clock was not set: far from all other lines, at a beginning of time or few."""
    far = np.zeros(len(time_us), dtype=np.bool_)
    valid = np.flatnonzero(time_us != NO_TIME)
    if not len(valid):
        return far
    order = valid[np.argsort(time_us[valid], kind="stable")]
    cuts = np.flatnonzero(np.diff(time_us[order]) > _APART_DAYS * US_PER_DAY) + 1
    spans = np.split(order, cuts)
    most = max(spans, key=len)
    for span in spans:
        if span is not most and _never_lived(time_us[span], len(valid)):
            far[span] = True
    return far


def _never_lived(span_us: Times, rows: int) -> bool:
    first, last = int(span_us[0]), int(span_us[-1])
    if last < _NO_HOMES_BEFORE or len(span_us) < _RARE * rows:
        return True
    begins = (int(np.datetime64(day, "us").astype(np.int64)) for day in _BEGINNINGS)
    return any(begin <= first and last < begin + _DAYS_UNSET * US_PER_DAY for begin in begins)


@dataclass(frozen=True)
class TwiceHour:
    """Rows of an hour that came twice, as a clock that was put back tells it."""

    first: int
    """The first row after the clock was put back."""

    last: int
    """One after the last row that the time before has to be fitted to."""

    repeated: int
    """Rows in the hour's second run."""


def hours_twice(time_us: Times, zone: NDArray[np.int32]) -> list[TwiceHour]:
    """Where a log in file order tells that the clock was put back by an hour.

    Either its times say so by their distance from Greenwich, or a night does in which clocks are
    put back: there the log goes back once, by an hour at most, and goes on in order.
    """
    found: list[TwiceHour] = []
    back = np.flatnonzero((np.diff(time_us) < -_MINUTE) & (np.diff(time_us) >= -_HOUR)) + 1
    back = [row for row in back.tolist() if _is_put_back(int(time_us[row - 1]), zone[row - 1 :])]
    # A clock is put back once a year; so many are lines out of order.
    for row in back if len(back) <= _MOST_NIGHTS else []:
        peak = int(time_us[row - 1])
        after = row + int(np.argmax(time_us[row:] > peak)) if time_us[row:].max() > peak else None
        end = len(time_us) if after is None else after
        if np.diff(time_us[row:end]).min(initial=0) < -_MINUTE:
            continue  # it goes back again: lines out of order, not a clock
        later = time_us[end:] >= peak + 2 * _HOUR
        last = end + int(np.argmax(later)) if later.any() else len(time_us)
        found.append(TwiceHour(row, last, end - row))
    return found


def _is_put_back(peak_us: int, zones: NDArray[np.int32]) -> bool:
    before, after = zones[:2].tolist()
    if before != NO_ZONE and after != NO_ZONE:
        return after < before
    day, hour = peak_us // US_PER_DAY, peak_us % US_PER_DAY // _HOUR
    month = int(np.datetime64(day, "D").astype("datetime64[M]").astype(int)) % 12 + 1
    # 1970-01-01 was a Thursday. Some countries put clocks back as a Saturday ends.
    weekday = (day + 3) % 7
    return month in _AUTUMN and ((weekday == 6 and hour < 4) or (weekday == 5 and hour == 23))


def fitted(time_us: Times, twice: list[TwiceHour]) -> Times:
    """The times with each hour that came twice fitted in before what follows, in file order.

    The time from the moment the clock was put back to two hours later, three in truth, is told at
    two thirds of its pace or more, so that order, day and nearly every gap stay what they were.
    """
    fixed = time_us.copy()
    for hour in twice:
        rows = slice(hour.first, hour.last)
        peak = int(time_us[hour.first - 1])
        elapsed = np.maximum(time_us[rows] + _HOUR - peak, 0)
        room = int(time_us[hour.last]) - peak if hour.last < len(time_us) else 0
        pace = room / (room + _HOUR) if room > 0 else 1.0
        fixed[rows] = peak + (elapsed * pace).astype(np.int64)
    return fixed


def repeats(time_us: Times, said: NDArray[np.int32], second_run: Rows) -> Rows:
    """The rows that say exactly what an earlier one said, as where exports overlap.

    Of whole seconds only a repeat counts that stands apart from the first, unless nearly every line
    has one: within one second a sensor may well say the same twice.
    """
    rows = np.arange(len(time_us))
    order = np.lexsort((rows, said, second_run, time_us))
    same = (np.diff(time_us[order]) == 0) & (np.diff(said[order]) == 0)
    same &= np.diff(second_run[order].astype(np.int8)) == 0
    starts = np.concatenate([[True], ~same]) if len(order) else np.empty(0, np.bool_)
    first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    run = np.cumsum(np.concatenate([[0], np.diff(time_us) != 0])) if len(order) else rows
    doubled = len(order) >= _LEAST_DOUBLED and np.mean(~starts) > _DOUBLED
    exact = (time_us % US_PER_SECOND != 0) | doubled
    repeated = np.zeros(len(time_us), dtype=np.bool_)
    repeated[order] = ~starts & (exact[order] | (run[order] != run[first]))
    return repeated
