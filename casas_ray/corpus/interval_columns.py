"""Which column of an interval log is what: told by its heading, by its content, or by the user."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from casas_ray.corpus.annotation import NUMBER
from casas_ray.corpus.detect import Reading
from casas_ray.corpus.dialect import WHITE, Place, columns_of, is_stamp, is_state, place_of
from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.corpus.sensor_names import is_type, room_from_name
from casas_ray.corpus.stamps import NO_TIME, StampForm
from casas_ray.errors import SettingsError, did_you_mean

_HEADINGS = {
    "start": "start", "begin": "start", "starttime": "start", "begintime": "start", "from": "start",
    "on": "start", "time": "start", "timestamp": "start",
    "end": "end", "endtime": "end", "stop": "end", "stoptime": "end", "to": "end", "off": "end",
    "finish": "end",
    "length": "length", "duration": "length", "seconds": "length", "durations": "length",
    "durationsec": "length", "durationseconds": "length", "lengths": "length",
    "sensor": "name", "sensorid": "name", "id": "name", "name": "name", "location": "name",
    "device": "name", "object": "name", "activity": "name", "label": "name", "adl": "name",
    "idx": "name", "date": "date",
    "type": "type", "sensortype": "type",
    "place": "room", "room": "room", "area": "room",
}  # fmt: skip
"""What a heading, without spaces and in small letters, says that its column is."""

_NAMES = ("start", "end", "length", "sensor", "activity", "room", "type", "-")
_MOST = 0.9


@dataclass(frozen=True)
class IntervalColumns:
    """Where a line of an interval log has what."""

    separator: str
    start: Place
    end: Place | None = None
    """Where the end stands; None where there is a length or a time of day instead."""

    clock_at: int | None = None
    """The column of an end that is a time of day alone; the columns of start and end left out, the
    rest is counted from 0, here and below."""

    length_at: int | None = None
    name_at: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    """Columns of room and type."""

    joins_name: bool = False
    """Whether the name is all the words from its column on."""

    def fields(self, columns: Sequence[str]) -> dict[str, str] | None:
        """What a line says by name; None where it has too few columns."""
        rest = _without(columns, self.start, self.end)
        wanted = max(self.name_at, self.length_at or 0, self.clock_at or 0)
        if len(rest) <= wanted:
            return None
        found = {name: rest[at] for name, at in self.others.items() if at < len(rest)}
        found["start"] = self.start.time_in(columns)
        name = rest[self.name_at :] if self.joins_name else [rest[self.name_at]]
        found["name"] = " ".join(name).strip("\"' ")
        if self.end is not None:
            found["end"] = self.end.time_in(columns)
        if self.clock_at is not None:
            found["clock"] = rest[self.clock_at]
        if self.length_at is not None:
            found["length"] = rest[self.length_at]
        return found

    def in_words(self) -> str:
        """What was taken for what, for the user to check."""
        second = "an end" if self.length_at is None else "a length in seconds"
        second += " by the clock" if self.clock_at is not None else ""
        more = "".join(f", {name} in column {at + 1}" for name, at in self.others.items())
        return (
            f"intervals of a start and {second}; of the other columns, the name in column "
            f"{self.name_at + 1}{more}"
        )


def _without(columns: Sequence[str], *places: Place | None) -> list[str]:
    taken = {
        at for place in places if place for at in range(place.before, place.before + place.takes)
    }
    return [column for at, column in enumerate(columns) if at not in taken]


class _Table(NamedTuple):
    """The columns of some lines, and where these have their times."""

    separator: str
    rows: list[list[str]]
    first: Place
    second: Place | None

    @classmethod
    def of(cls, reading: Reading, texts: Sequence[str]) -> "_Table":
        first, epoch = reading.place, reading.epoch
        after = first.before + first.takes
        split = (columns_of(text, reading.separator) for text in texts)
        rows = [row for row in split if is_stamp(first.time_in(row), epoch=epoch)]
        seconds = Counter(place_of(row[after:], epoch=epoch) for row in rows)
        second = seconds.most_common(1)[0][0] if seconds else None
        if second is not None:
            second = second._replace(before=after + second.before)
        return cls(reading.separator, rows, first, second)

    def values(self, *places: Place | None) -> list[list[str]]:
        """What stands in each column but those of the places."""
        rests = [_without(row, *places) for row in self.rows]
        width = max((len(rest) for rest in rests), default=0)
        return [[rest[at] for rest in rests if at < len(rest)] for at in range(width)]


def columns_from(reading: Reading, texts: Sequence[str]) -> IntervalColumns | None:
    """The columns by the file's heading where it has one, else by what stands in them."""
    table = _Table.of(reading, texts)
    return _by_heading(table, texts) or _by_content(table)


def _by_heading(table: _Table, texts: Sequence[str]) -> IntervalColumns | None:
    first = next((text for text in texts if text.strip()), "")
    if table.separator == WHITE:
        return None
    names = [
        "".join(each.lower().replace("_", " ").split())
        for each in columns_of(first, table.separator)
    ]
    roles = [_HEADINGS.get(name, "-") for name in names]
    return _of_roles(roles, table) if "name" in roles and "start" in roles else None


def named_columns(named: str, reading: Reading, texts: Sequence[str], what: str) -> IntervalColumns:
    """The columns as the user names them, in order: `start,end,sensor,-,room`.

    Raises:
        SettingsError: a name is none of those, or start, end or length, or the name is missing.
    """
    given = [name.strip().lower() for name in named.split(",")]
    for name in given:
        if name not in _NAMES:
            raise SettingsError(
                f"'{name}' is no column of intervals.", hint=did_you_mean(name, _NAMES)
            )
    roles = [_HEADINGS.get(name, "-") for name in given]
    found = _of_roles(roles, _Table.of(reading, texts))
    if found is None:
        raise SettingsError(
            f"columns '{named}' do not fit the file.",
            hint=f"wanted are start, then end or length, and {what}; `-` for one to pass over.",
        )
    return found


def _of_roles(roles: Sequence[str], table: _Table) -> IntervalColumns | None:
    """The columns of these roles; a time may take several columns of the file."""
    if not {"start", "name"} <= {*roles} or not ("end" in roles) ^ ("length" in roles):
        return None
    roles = [role for role in roles if role != "date"]  # it is a part of the time behind it
    times = [role for role in roles if role in ("start", "end")]
    has_end = "end" in roles and table.second is not None
    if times[0] == "end" and not has_end:
        return None
    start, end = (table.first, table.second if has_end else None)
    if end is not None and times[0] == "end":
        start, end = end, start
    by_clock = "end" in roles and not has_end
    left = ("start",) if by_clock else ("start", "end")
    rest = [role for role in roles if role not in left]
    others = {name: rest.index(name) for name in ("room", "type") if name in rest}
    clock_at = rest.index("end") if by_clock else None
    length_at = rest.index("length") if "length" in rest else None
    name_at = rest.index("name")
    values = table.values(start, end)
    if clock_at is not None and not (clock_at < len(values) and _are_clocks(values[clock_at])):
        return None
    return IntervalColumns(table.separator, start, end, clock_at, length_at, name_at, others)


def _by_content(table: _Table) -> IntervalColumns | None:
    start, end, before = table.first, table.second, table.first.before
    values = table.values(start, end)
    width, rows = len(values), len(table.rows)
    clock_at = length_at = None
    if end is None and before < width:
        if _are_ends(values[before], [start.time_in(row) for row in table.rows]):
            clock_at = before
        elif _are_lengths(values[before]):
            length_at = before
    if end is None and clock_at is None and length_at is None:
        return None
    named = [
        at for at in range(width) if at not in (clock_at, length_at) and _tells(values[at], rows)
    ]
    names = [at for at in named if not _are_types(values[at])]
    if not names:
        return None
    others = _others(values, [at for at in named if at != names[0]])
    joins = table.separator == WHITE and not others and names[0] == width - 1 > 0
    lengths = {len(row) for row in table.rows}
    joins = joins or (table.separator == WHITE and len(lengths) > 1)
    return IntervalColumns(
        table.separator, start, end, clock_at, length_at, names[0], others, joins
    )


def _are_clocks(values: Sequence[str]) -> bool:
    return sum(clock_seconds(each) is not None for each in values) >= _MOST * len(values) > 0


def _are_ends(values: Sequence[str], starts: Sequence[str]) -> bool:
    """Whether times of day are ends of what starts then, and no lengths such as 0:10:00."""
    if len(values) != len(starts) or not _are_clocks(values):
        return False
    after = 0
    for value, start in zip(values, starts, strict=True):
        ends, begins = clock_seconds(value), StampForm().moment(start)[0]
        if ends is not None and begins != NO_TIME:
            after += ends >= begins % US_PER_DAY // US_PER_SECOND
    return after >= _MOST * len(values)


def clock_seconds(text: str) -> float | None:
    """Seconds from midnight to a time of day; None where it is none."""
    found = StampForm().moment(f"1970-01-01 {text}")[0]
    return None if found == NO_TIME or ":" not in text else found / US_PER_SECOND


def _are_lengths(values: Sequence[str]) -> bool:
    lengths = sum(bool(NUMBER.fullmatch(each)) or ":" in each for each in values)
    # Nothing but 0 and 1 would be states.
    return lengths >= _MOST * len(values) > 0 and not {*values} <= {"0", "1"}


def _tells(values: Sequence[str], rows: int) -> bool:
    """Whether a column tells lines apart; a state beside intervals is always 1 or ON."""
    filled = len(values) >= _MOST * rows > 0
    return filled and (
        len(set(values)) > 1 or not (NUMBER.fullmatch(values[0]) or is_state(values[0]))
    )


def _are_types(values: Sequence[str]) -> bool:
    return sum(is_type(each) for each in values) >= _MOST * len(values) > 0


def _others(values: Sequence[Sequence[str]], candidates: Sequence[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in candidates:
        if "type" not in found and _are_types(values[at]):
            found["type"] = at
        elif "room" not in found and _are_rooms(values[at]):
            found["room"] = at
    return found


def _are_rooms(values: Sequence[str]) -> bool:
    return sum(bool(room_from_name(each)) for each in values) >= 0.7 * len(values) > 0
