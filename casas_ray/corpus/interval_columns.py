"""Which column of an interval log is what: told by its heading, by its content, or by the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from casas_ray.corpus.annotation import NUMBER
from casas_ray.corpus.detect import Reading
from casas_ray.corpus.dialect import WHITE, Place, columns_of
from casas_ray.corpus.sensor_names import is_type, room_from_name
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
    "idx": "name",
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
    end_follows: int = 0
    """Columns that the end takes right after the start; 0 where there is a length instead."""

    length_at: int | None = None
    """The rest of the columns, times left out, is counted from 0 here and below."""

    name_at: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    """Columns of room and type."""

    joins_name: bool = False
    """Whether the name is all the words from its column on."""

    def fields(self, columns: Sequence[str]) -> dict[str, str] | None:
        """What a line says by name; None where it has too few columns."""
        start, after = self.start, self.start.before + self.start.takes
        rest = [*columns[: start.before], *columns[after + self.end_follows :]]
        wanted = max(self.name_at, self.length_at or 0)
        if len(rest) <= wanted:
            return None
        found = {name: rest[at] for name, at in self.others.items() if at < len(rest)}
        found["start"] = start.time_in(columns)
        name = rest[self.name_at :] if self.joins_name else [rest[self.name_at]]
        found["name"] = " ".join(name).strip("\"' ")
        if self.length_at is not None:
            found["length"] = rest[self.length_at]
        else:
            found["end"] = " ".join(columns[after : after + self.end_follows])
        return found

    def in_words(self) -> str:
        """What was taken for what, for the user to check."""
        second = "a length in seconds" if self.length_at is not None else "an end"
        more = "".join(f", {name} in column {at + 1}" for name, at in self.others.items())
        return (
            f"intervals of a start and {second}; of the other columns, the name in column "
            f"{self.name_at + 1}{more}"
        )


def columns_from(reading: Reading, texts: Sequence[str]) -> IntervalColumns | None:
    """The columns by the file's heading where it has one, else by what stands in them."""
    headed = _by_heading(reading, texts)
    return headed or _by_content(reading)


def _by_heading(reading: Reading, texts: Sequence[str]) -> IntervalColumns | None:
    first = next((text for text in texts if text.strip()), "")
    if reading.separator == WHITE:
        return None
    names = [
        "".join(each.lower().replace("_", " ").split())
        for each in columns_of(first, reading.separator)
    ]
    roles = [_HEADINGS.get(name, "-") for name in names]
    return _of_roles(roles, reading) if "name" in roles and "start" in roles else None


def named_columns(named: str, reading: Reading, what: str) -> IntervalColumns:
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
    found = _of_roles([_HEADINGS.get(name, "-") for name in given], reading)
    if found is None:
        raise SettingsError(
            f"columns '{named}' do not fit the file.",
            hint=f"wanted are start, then end or length, and {what}; `-` for one to pass over.",
        )
    return found


def _of_roles(roles: Sequence[str], reading: Reading) -> IntervalColumns | None:
    """The columns of these roles; a time may take several columns of the file."""
    if "start" not in roles or "name" not in roles:
        return None
    if not ("end" in roles) ^ ("length" in roles):
        return None
    at_start = roles.index("start")
    if "end" in roles and (roles.index("end") != at_start + 1 or not reading.second_time):
        return None
    rest = [role for role in roles if role not in ("start", "end")]
    others = {name: rest.index(name) for name in ("room", "type") if name in rest}
    return IntervalColumns(
        reading.separator,
        reading.place,
        reading.second_time if "end" in roles else 0,
        rest.index("length") if "length" in roles else None,
        rest.index("name"),
        others,
    )


def _by_content(reading: Reading) -> IntervalColumns | None:
    before = reading.place.before
    table = [row for row in reading.rests if row]
    width = max((len(row) for row in table), default=0)
    values = [[row[at] for row in table if at < len(row)] for at in range(width)]
    length_at = None
    if not reading.second_time:
        length_at = before if before < width and _are_lengths(values[before]) else None
        if length_at is None:
            return None
    named = [at for at in range(width) if at != length_at and _tells(values[at], len(table))]
    names = [at for at in named if not _are_types(values[at])]
    if not names:
        return None
    others = _others(values, [at for at in named if at != names[0]])
    joins = reading.separator == WHITE and not others and names[0] == width - 1 > 0
    joins = joins or (reading.separator == WHITE and len({len(row) for row in table}) > 1)
    return IntervalColumns(
        reading.separator, reading.place, reading.second_time, length_at, names[0], others, joins
    )


def _are_lengths(values: Sequence[str]) -> bool:
    lengths = sum(bool(NUMBER.fullmatch(each)) or ":" in each for each in values)
    # Nothing but 0 and 1 would be states.
    return lengths >= _MOST * len(values) > 0 and not {*values} <= {"0", "1"}


def _tells(values: Sequence[str], rows: int) -> bool:
    """Whether a column tells lines apart; the state that an interval log may carry is always 1."""
    filled = len(values) >= _MOST * rows
    return filled and (len(set(values)) > 1 or not NUMBER.fullmatch(values[0]))


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
