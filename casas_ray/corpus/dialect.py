"""How a log writes its lines: what separates the columns, where the time stands, which column is
the value. Columns before the value name the sensor and its place, those after it are annotations.
"""

import csv
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from casas_ray.corpus.annotation import NUMBER, Grammar
from casas_ray.corpus.stamps import EPOCH, STAMP, StampForm

STATE_OF = {
    "ON": "ON",
    "OFF": "OFF",
    "OPEN": "OPEN",
    "OPENED": "OPEN",
    "CLOSE": "CLOSE",
    "CLOSED": "CLOSE",
    "PRESENT": "PRESENT",
    "ABSENT": "ABSENT",
    "TRUE": "ON",
    "FALSE": "OFF",
    "ACTIVE": "ON",
    "INACTIVE": "OFF",
}
"""Every way in which logs write a state, in capitals, and the one in which it is kept."""

WHITE = ""
_MOST_BEFORE_TIME, MOST_OF_TIME = 3, 4
_SHAPES = {1: "marked", 2: "labelled", 3: "columns", 4: "columns"}


class Place(NamedTuple):
    """Where a line has its time: columns before it, and columns that it takes."""

    before: int
    takes: int
    fraction: bool = False
    """Whether a comma between columns stands within the seconds: 01:04:00,596853."""

    def time_in(self, columns: Sequence[str]) -> str:
        """The text of the time in a line's columns."""
        taken = columns[self.before : self.before + self.takes]
        if self.fraction and len(taken) > 1 and taken[-1].isdecimal():
            return " ".join(taken[:-1]) + "." + taken[-1]
        return " ".join(taken)


@dataclass(frozen=True)
class Dialect:
    """How a log writes its lines."""

    separator: str
    """A tab, a comma, ...; WHITE for any white space."""

    place: Place
    second_time: int
    """Columns that another time takes right after the first; it is passed over."""

    value_at: int
    """Which of the columns without the times is the value."""

    sensor_at: int | None = 0
    """Which column names the sensor; None where area and location together do."""

    room_at: int | None = None
    form: StampForm = field(default_factory=StampForm)
    grammar: Grammar = field(default_factory=Grammar)
    notes: tuple[str, ...] = ()
    """What a user has to know of how the log was understood."""

    @property
    def shape(self) -> str:
        """marked, labelled or columns, by what stands before the value."""
        return _SHAPES[self.value_at]

    @property
    def annotation_at(self) -> int:
        """The first column after the value, and after the room where that comes behind it."""
        return self.value_at + 1 + (self.room_at == self.value_at + 1)

    def split(self, text: str) -> list[str]:
        """The columns of a line."""
        return columns_of(text, self.separator)

    def place_in(self, columns: Sequence[str]) -> tuple[str, list[str]] | None:
        """The time of a line and its other columns; None where no time stands in its place."""
        place = self.place
        stamp = place.time_in(columns)
        if not is_stamp(stamp, epoch=self.form.epoch):
            return None
        return stamp, [
            *columns[: place.before],
            *columns[place.before + place.takes + self.second_time :],
        ]


def columns_of(text: str, separator: str) -> list[str]:
    """The columns of a line; empty ones count only between commas and the like."""
    if separator == WHITE:
        return text.split()
    if separator == "\t":  # runs of tabs are padding
        return [part for each in text.split("\t") if (part := each.strip())]
    parts = text.split(separator)
    if '"' in text:
        with suppress(csv.Error):  # quotes that make no sense are letters like others
            parts = next(csv.reader([text], delimiter=separator), parts)
    return [part.strip() for part in parts]


def is_stamp(text: str, *, epoch: bool) -> bool:
    return bool((EPOCH if epoch else STAMP).fullmatch(text.strip("\"' ")))


def place_of(
    columns: Sequence[str], *, epoch: bool = False, fraction: bool = False
) -> Place | None:
    """Where the first time stands in a line's columns; it takes as many columns as it can."""
    for before in range(min(_MOST_BEFORE_TIME, len(columns))):
        for takes in range(min(1 if epoch else MOST_OF_TIME, len(columns) - before), 0, -1):
            joins = fraction and takes > 1 and columns[before + takes - 1].isdecimal()
            place = Place(before, takes, joins)
            if is_stamp(place.time_in(columns), epoch=epoch):
                return place
    return None


def is_state(text: str) -> bool:
    """Whether a column's text is a state."""
    return text.strip("\"'").upper() in STATE_OF


def is_value(text: str) -> bool:
    """Whether a column's text is a state or a number."""
    return is_state(text) or bool(NUMBER.fullmatch(text.strip("\"'")))


Splitter = Callable[[str], tuple[str, str] | None]


def splitter(dialect: Dialect) -> Splitter | None:
    """A fast way from a line to its time and the rest of its text; None where there is none."""
    before, takes, fraction = dialect.place
    if before or fraction or dialect.second_time:
        return None
    if takes == 1 and dialect.separator != WHITE:
        separator = dialect.separator

        def at_first(text: str) -> tuple[str, str] | None:
            stamp, found, rest = text.partition(separator)
            return (stamp, rest) if found else None

        return at_first
    wanted = dialect.separator or None

    def after_several(text: str) -> tuple[str, str] | None:
        parts = text.split(wanted, takes)
        return (" ".join(parts[:takes]), parts[takes]) if len(parts) > takes else None

    return after_several
