"""Raw CASAS logs, line by line: what each line says, and why a line is not used.

Three line shapes cover the five dialects: `marked` (classic, spaced and bare differ only in their
white space), `labelled` and `columns`. The shape is read off the first lines of the file.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from casas_ray.errors import DataError
from casas_ray.files import require_plain, shown, why

Dialect = Literal["marked", "labelled", "columns"]

STATES = frozenset({"ON", "OFF", "OPEN", "CLOSE", "PRESENT", "ABSENT"})
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,6}|\.)?")
_VALUE_AT: dict[Dialect, int] = {"marked": 3, "labelled": 4, "columns": 5}
# Published logs hold the typing error.
_MARK = {"begin": "begin", "begub": "begin", "end": "end"}
_PSEUDO_SENSORS = frozenset({"ENTERHOME", "LEAVEHOME"})
_NO_STAMP = "no date and time"
_LONGEST_LINE = 4096
_LINES_TO_JUDGE_BY = 2000


class Line(NamedTuple):
    """What one usable line says."""

    number: int
    stamp: str
    sensor: str
    value: str
    room: str
    type: str
    label: str
    mark: str
    """begin, end, or nothing."""

    flaw: str = ""
    """Why its event is not used. Only a line with a mark is kept in spite of one: the mark counts,
    or an activity would never end."""


class Rejected(NamedTuple):
    """A line that is not used, and why."""

    number: int
    reason: str
    text: str


@dataclass
class RawLog:
    """A log's usable lines in file order, and the others with their reasons."""

    path: Path
    dialect: Dialect
    total: int = 0
    lines: list[Line] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, number: int, reason: str, text: str) -> None:
        """Set a line aside under its number."""
        self.rejected.append(Rejected(number, reason, text))

    def reasons(self) -> dict[str, int]:
        """Rejected lines counted by reason."""
        return dict(Counter(row.reason for row in self.rejected))


def read_log(path: Path) -> RawLog:
    """Every line of a log, either used or rejected with a reason.

    Raises:
        DataError: the file cannot be read, or its first lines look like no CASAS log.
    """
    log = RawLog(path, detect_dialect(path))
    parse = _PARSERS[log.dialect]
    for number, text in _numbered_lines(path):
        log.total = number
        reason = _unreadable(text)
        fields = text.split()
        line = reason or parse(number, fields)
        if isinstance(line, str):
            log.reject(number, line, text)
            continue
        if line.flaw:
            log.reject(number, line.flaw, text)
        log.lines.append(line)
    if all(line.flaw for line in log.lines):
        raise DataError(f"{shown(path)}: none of its {log.total} lines is a sensor event.")
    return log


def stamps_to_us(stamps: list[str]) -> NDArray[np.int64]:
    """Microseconds since 1970-01-01 of each `YYYY-MM-DD HH:MM:SS.f`; -1 for no moment."""
    try:  # all at once, which is fast; one that is no moment spoils it for all
        return np.array(stamps, dtype="datetime64[us]").astype(np.int64)
    except ValueError:
        return np.array([_stamp_to_us(stamp) for stamp in stamps], dtype=np.int64)


def _stamp_to_us(stamp: str) -> int:
    try:
        return int(np.datetime64(stamp, "us").astype(np.int64))
    except ValueError:
        return -1


def detect_dialect(path: Path) -> Dialect:
    """The line shape that explains most of the first lines.

    Raises:
        DataError: the file cannot be read, is empty, or fits no shape.
    """
    head = [text.split() for _, text in islice(_numbered_lines(path), _LINES_TO_JUDGE_BY)]
    votes: Counter[Dialect] = Counter()
    for fields in head:
        if len(fields) < 4 or not _DATE.fullmatch(fields[0]) or not _TIME.fullmatch(fields[1]):
            continue
        for dialect, column in _VALUE_AT.items():
            if len(fields) > column and fields[column] in STATES:
                votes[dialect] += 1
                break
    if not votes:
        raise DataError(
            f"{shown(path)}: its first {len(head)} lines look like no CASAS log.",
            hint="wanted lines such as `2009-10-16 03:55:50.000029 M021 OFF Sleep end`.",
        )
    return votes.most_common(1)[0][0]


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        # Bytes that are no UTF-8 become lone surrogates: one bad line must not end the reading.
        with require_plain(path).open(encoding="utf-8-sig", errors="surrogateescape") as stream:
            # A line without an end must not fill the memory, so lines are read in bounded pieces.
            number = 0
            while piece := stream.readline(_LONGEST_LINE + 1):
                number += 1
                text = piece
                while not piece.endswith("\n") and (piece := stream.readline(_LONGEST_LINE)):
                    pass
                yield number, text.rstrip("\r\n")
    except OSError as error:
        raise DataError(
            f"{shown(path)}: {why(error)}.", hint="name a log file with --log PATH"
        ) from None


def _unreadable(text: str) -> str:
    if not text.strip():
        return "blank line"
    if len(text) > _LONGEST_LINE:
        return f"longer than {_LONGEST_LINE} characters"
    if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
        return "not UTF-8"
    return ""


def _marked(number: int, fields: list[str]) -> Line | str:
    if len(fields) < 4:
        return "too few fields"
    date, time, sensor, value, *rest = fields
    mark = _MARK.get(rest[-1].lower(), "") if rest else ""
    if rest and not mark:
        return "annotation without begin or end"
    label = " ".join(rest[:-1])
    if mark and not label:
        return "begin or end without an activity"
    line = Line(number, f"{date} {time}", sensor, value, "", "", label, mark)
    checked = _checked(line)
    if mark and isinstance(checked, str) and checked != _NO_STAMP:
        return line._replace(flaw=checked)
    return checked


def _labelled(number: int, fields: list[str]) -> Line | str:
    if len(fields) < 5:
        return "too few fields"
    date, time, area, location, value, *rest = fields
    sensor = area if area == location else f"{area}.{location}"
    return _checked(Line(number, f"{date} {time}", sensor, value, area, "", " ".join(rest), ""))


def _columns(number: int, fields: list[str]) -> Line | str:
    if len(fields) < 6:
        return "too few fields"
    date, time, sensor, area, _, value, *rest = fields
    kind = rest[0].rsplit("-", 1)[-1].lower() if rest else ""
    label = " ".join(rest[1:])
    return _checked(Line(number, f"{date} {time}", sensor, value, area, kind, label, ""))


def _checked(line: Line) -> Line | str:
    date, _, time = line.stamp.partition(" ")
    if not _DATE.fullmatch(date) or not _TIME.fullmatch(time):
        return _NO_STAMP
    if line.sensor in _PSEUDO_SENSORS:
        return "pseudo-sensor"
    if line.value not in STATES and not _NUMBER.fullmatch(line.value):
        return "value is neither a state nor a number"
    return line


_PARSERS: dict[Dialect, Callable[[int, list[str]], Line | str]] = {
    "marked": _marked,
    "labelled": _labelled,
    "columns": _columns,
}
