"""Times as logs write them, read as the local time that stands there.

2009-10-16 03:55:50.000029    2011-11-28T02:27:59Z         16.10.2009 03:55:50,5
10/16/2009 3:55:50 PM         2016-03-07 01:04:00 -0800    25-Feb-2008 00:20:14
1457312640.596853
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND

NO_TIME = -1
NO_ZONE = 10_000

_DATE = (
    r"(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<late_year>\d{4})"
    r"|(?P<named_day>\d{1,2})[- ]?(?P<name>[A-Za-z]{3,9})[-, ]{0,2}(?P<named_year>\d{4})"
    r"|(?P<run>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])))"
)
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<seconds>\d\d)(?:[.,](?P<fraction>\d{0,9}))?)?"
    r"(?:[ ]?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONES = {"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 60, "BST": 60, "CET": 60, "CEST": 120}
_ZONES |= {"EET": 120, "EEST": 180, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300}
_ZONES |= {"MST": -420, "MDT": -360, "PST": -480, "PDT": -420}
_ANY_ZONE = rf"(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?|{'|'.join(_ZONES)}|z"
_ZONE = rf"(?:[ ]?(?P<zone>{_ANY_ZONE})(?:\[[A-Za-z/_]+\])?)?"
STAMP = re.compile(rf"{_DATE}[T ]{{1,4}}{_TIME}{_ZONE}")
EPOCH = re.compile(r"(?P<whole>\d{9,19})(?:[.,](?P<part>\d{0,9}))?")
_DAY = re.compile(_DATE)
_PART_OF_TIME = re.compile(rf"{_DATE}|{_TIME}{_ZONE}|[AaPp]\.?[Mm]\.?|(?:{_ANY_ZONE})")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{0,6})?")
_PLAIN_ZONED = re.compile(rf"({_PLAIN.pattern})\d{{0,3}}{_ZONE}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS = ((10**11, 10**6, "seconds"), (10**14, 10**3, "milliseconds"), (10**17, 1, "microseconds"))
"""Epoch times below a limit, how many microseconds one of them is, and what they are."""


@dataclass(frozen=True)
class StampForm:
    """What a log's times leave open, decided once for the whole log."""

    day_first: bool = False
    """In 03/07/2016, whether 3 is the day."""

    epoch: bool = False
    """Whether times are counted from 1970 and not written out."""

    def read(self, stamps: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Microseconds since 1970 as the clock showed them, NO_TIME where there is no such moment,
        and each one's minutes east of Greenwich, or NO_ZONE."""
        if all(map(_PLAIN.fullmatch, stamps)):
            return _of_plain(stamps), np.full(len(stamps), NO_ZONE, dtype=np.int32)
        time_us = np.full(len(stamps), NO_TIME, dtype=np.int64)
        zone = np.full(len(stamps), NO_ZONE, dtype=np.int32)
        plain: dict[int, str] = {}
        for index, stamp in enumerate(stamps):
            if found := _PLAIN_ZONED.fullmatch(stamp):
                plain[index], zone[index] = found[1], _minutes_east(found["zone"])
            else:
                time_us[index], zone[index] = self.moment(stamp)
        time_us[list(plain)] = _of_plain(list(plain.values()))
        return time_us, zone

    @staticmethod
    def has_zone(text: str) -> bool:
        """Whether a time that is written out says how far from Greenwich it is."""
        found = STAMP.fullmatch(text)
        return bool(found and found["zone"])

    def moment(self, text: str) -> tuple[int, int]:
        """One time, as `read` reads them."""
        text = text.strip(" \t\"'")
        if self.epoch:
            return _epoch_us(text), NO_ZONE
        found = STAMP.fullmatch(text)
        if not found:
            return NO_TIME, NO_ZONE
        try:
            return _us_of(found, self.day_first), _minutes_east(found["zone"])
        except ValueError:
            return NO_TIME, NO_ZONE


def is_time(text: str) -> bool:
    """Whether a text is a time that is written out, or half of one, or a zone."""
    # Digits alone are a sensor's number sooner than a date.
    return bool(STAMP.fullmatch(text) or (_PART_OF_TIME.fullmatch(text) and not text.isdecimal()))


def is_date(text: str) -> bool:
    """Whether a text is a date that is written out, without a time."""
    return bool(_DAY.fullmatch(text)) and not text.isdecimal()


def begins_with_date(line: str) -> bool:
    """Whether a line has a date at its start, whatever follows."""
    return bool(_DAY.match(line.strip(" \t\"'")))


def epoch_unit(whole: int) -> tuple[int, str]:
    """How many microseconds one unit of an epoch time is, 0 for less than one; the unit's name.

    Told by range: 10^11 seconds are the year 5138, 10^11 milliseconds are 1973, and so on.
    """
    for limit, us, name in _UNITS:
        if abs(whole) < limit:
            return us, name
    return 0, "nanoseconds"


def _epoch_us(text: str) -> int:
    found = EPOCH.fullmatch(text)
    if not found:
        return NO_TIME
    whole, part = int(found["whole"]), found["part"] or ""
    us, _ = epoch_unit(whole)
    if not us:
        return whole // 1000
    return whole * us + int((part + "000000")[:6]) * us // US_PER_SECOND


def _of_plain(stamps: Sequence[str]) -> NDArray[np.int64]:
    """The usual form all at once; where one is no moment, halved until it stands alone."""
    try:
        time_us = np.array(stamps, dtype="datetime64[us]").astype(np.int64)
    except ValueError:
        if len(stamps) == 1:
            return np.array([NO_TIME], dtype=np.int64)
        middle = len(stamps) // 2
        return np.concatenate([_of_plain(stamps[:middle]), _of_plain(stamps[middle:])])
    return np.maximum(time_us, NO_TIME)


def _us_of(found: re.Match[str], day_first: bool) -> int:
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "seconds"))
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time")
    fraction = int(((found["fraction"] or "") + "000000")[:6])
    days = _date_of(found, day_first).toordinal() - date(1970, 1, 1).toordinal()
    time_us = days * US_PER_DAY + ((hour * 60 + minute) * 60 + second) * US_PER_SECOND + fraction
    return max(time_us, NO_TIME)


def _date_of(found: re.Match[str], day_first: bool) -> date:
    if found["year"]:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    if found["run"]:
        run = found["run"]
        return date(int(run[:4]), int(run[4:6]), int(run[6:]))
    if found["name"]:
        month = _MONTHS.index(found["name"][:3].lower()) + 1
        return date(int(found["named_year"]), month, int(found["named_day"]))
    first, second = int(found["first"]), int(found["second"])
    # Points are written where the day comes first.
    day, month = (first, second) if day_first or found["mark"] == "." else (second, first)
    return date(int(found["late_year"]), month, day)


def _minutes_east(zone: str | None) -> int:
    if not zone:
        return NO_ZONE
    named = _ZONES.get(zone.upper())
    if named is not None:
        return named
    digits = zone.lstrip("UTCGM")
    minutes = int(digits[1:3]) * 60 + int(digits[3:].strip(":") or 0)
    return -minutes if digits[0] == "-" else minutes


def day_comes_first(stamps: Sequence[str]) -> bool | None:
    """Whether the day stands before the month in dates such as 03/07/2016; None without any.

    A number above 12 tells; else the reading under which the log covers fewer days.
    """
    found = [match for stamp in stamps if (match := STAMP.fullmatch(stamp)) and match["first"]]
    if not found:
        return None
    if found[0]["mark"] == "." or any(int(match["first"]) > 12 for match in found):
        return True
    if any(int(match["second"]) > 12 for match in found):
        return False
    return _span(stamps, StampForm(day_first=True)) < _span(stamps, StampForm(day_first=False))


def _span(stamps: Sequence[str], form: StampForm) -> int:
    times, _ = form.read(stamps)
    return int(times.max() - times.min())
