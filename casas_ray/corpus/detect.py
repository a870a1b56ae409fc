"""Which dialect a log is written in, judged by its head: what separates the columns, where the time
stands, which column is the value, how activities are annotated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from casas_ray.corpus.annotation import NUMBER, Grammar
from casas_ray.corpus.dialect import (
    MOST_OF_TIME,
    WHITE,
    Dialect,
    Place,
    columns_of,
    is_stamp,
    is_state,
    is_value,
    place_of,
)
from casas_ray.corpus.log_text import LONGEST_LINE, numbered_lines
from casas_ray.corpus.refusals import unlike
from casas_ray.corpus.sensor_names import looks_like_ids, room_from_name
from casas_ray.corpus.stamps import (
    EPOCH,
    STAMP,
    StampForm,
    day_comes_first,
    epoch_unit,
    is_date,
    is_time,
)
from casas_ray.errors import DataError

HEAD = 20_000
"""Lines that are judged by, and read at a time."""

_JUDGED = 4_000
_MOST_HELD = 64 << 20
"""Characters that are held while the first state is looked for."""

_SEPARATORS = ("\t", ",", ";", "|", WHITE)
_MOST_BEFORE_VALUE = 4


def detect_dialect(
    path: Path, lines: Iterator[tuple[int, str]]
) -> tuple[Dialect, list[tuple[int, str]]]:
    """How the log writes its lines, and the lines that were read to find out.

    Raises:
        DataError: they look like no log.
    """
    head = list(islice(lines, HEAD))
    dialect = dialect_of(sampled(head))
    # Thousands of temperatures may come before the first state; it tells where values stand.
    held = 0
    while held < _MOST_HELD and not (dialect and _has_states(head[-HEAD:], dialect)):
        more = list(islice(lines, HEAD))
        if not more:
            break
        held += sum(len(text) for _, text in more)
        dialect = dialect_of(sampled(more)) or dialect
        head += more
    if dialect is None:
        raise unlike(path, [text for _, text in head])
    return dialect, head


def looks_like_a_log(path: Path) -> bool:
    """Whether the first lines of a file are those of a log."""
    try:
        detect_dialect(path, islice(numbered_lines(path), HEAD))
    except DataError:
        return False
    return True


def sampled(lines: Sequence[tuple[int, str]]) -> list[str]:
    """The lines that are judged by: all of a few, or some from everywhere."""
    step = max(1, len(lines) // _JUDGED)
    return [text for _, text in lines[::step] if text.strip() and len(text) <= LONGEST_LINE]


def _has_states(lines: Sequence[tuple[int, str]], dialect: Dialect) -> bool:
    placed = (dialect.place_in(dialect.split(text)) for _, text in lines)
    at = dialect.value_at
    return any(found and len(found[1]) > at and is_state(found[1][at]) for found in placed)


class Reading(NamedTuple):
    """What one separator makes of the sampled lines."""

    separator: str
    place: Place
    stamps: list[str]
    rests: list[list[str]]
    """The other columns of each line that has a time."""

    value_at: int
    fitting: int
    """Lines with a time and, in its column, a value."""

    epoch: bool
    second_time: int = 0


def dialect_of(sample: Sequence[str]) -> Dialect | None:
    """The dialect that fits most of the sampled lines; None where none fits any."""
    readings = [reading for reading in readings_of(sample) if reading.fitting]
    # The first of equals: a tab or a comma keeps names with spaces whole.
    best = max(readings, key=lambda reading: reading.fitting, default=None)
    return _described(best) if best else None


def readings_of(sample: Sequence[str]) -> list[Reading]:
    """What each separator makes of some lines, as far as they have times."""
    ways = [(separator, fraction) for separator in _SEPARATORS for fraction in (True, False)]
    # Only a comma stands for a decimal point too.
    ways = [
        (separator, fraction) for separator, fraction in ways if separator == "," or not fraction
    ]
    readings = (_read(sample, separator, fraction=fraction) for separator, fraction in ways)
    return [reading for reading in readings if reading is not None]


def _read(sample: Sequence[str], separator: str, *, fraction: bool) -> Reading | None:
    split = [columns_of(text, separator) for text in sample if separator in text]
    places: dict[bool, Counter[Place]] = {}
    for epoch in (False, True):
        found = (place_of(columns, epoch=epoch, fraction=fraction) for columns in split)
        places[epoch] = Counter(place for place in found if place)
    # By most lines: in a log of epoch times some tool may have left a line with a date.
    epoch = places[True].total() > places[False].total()
    if not places[epoch]:
        return None
    return _with_values(separator, split, places[epoch].most_common(1)[0][0], epoch=epoch)


def _with_values(
    separator: str, split: Sequence[list[str]], place: Place, *, epoch: bool
) -> Reading:
    one_time = Dialect(separator, place, 0, 1, form=StampForm(epoch=epoch))
    placed = [found for columns in split if (found := one_time.place_in(columns)) is not None]
    second = _second_time([rest[place.before :] for _, rest in placed], epoch=epoch)
    rests = [rest[: place.before] + rest[place.before + second :] for _, rest in placed]
    value_at = _value_column(rests)
    fitting = sum(_fits(rest, value_at) for rest in rests)
    stamps = [stamp for stamp, _ in placed]
    return Reading(separator, place, stamps, rests, value_at, fitting, epoch, second)


def _second_time(rests: Sequence[Sequence[str]], *, epoch: bool) -> int:
    counts: Counter[int] = Counter()
    for rest in rests:
        taken = range(min(1 if epoch else MOST_OF_TIME, len(rest)), 0, -1)
        parts = ((count, " ".join(rest[:count])) for count in taken)
        # A date of its own, such as the day on which a log was exported, is one too.
        is_second = (count for count, text in parts if is_stamp(text, epoch=epoch) or is_date(text))
        counts[next(is_second, 0)] += 1
    return counts.most_common(1)[0][0] if counts else 0


def _value_column(rests: Iterable[Sequence[str]]) -> int:
    """The column in which most lines have their first state, or where no line has one a number."""
    states: Counter[int] = Counter()
    numbers: Counter[int] = Counter()
    for rest in rests:
        candidates = range(1, min(len(rest), _MOST_BEFORE_VALUE + 1))
        state = next((at for at in candidates if is_state(rest[at])), None)
        number = next((at for at in candidates if NUMBER.fullmatch(rest[at])), None)
        if state is not None:
            states[state] += 1
        elif number is not None:
            numbers[number] += 1
    # Numbers count where states leave it open: a location may be called 2.
    votes = states or numbers
    return votes.most_common(1)[0][0] if votes else 0


def _fits(rest: Sequence[str], value_at: int) -> bool:
    return 0 < value_at < len(rest) and is_value(rest[value_at]) and not is_time(rest[0])


def _described(reading: Reading) -> Dialect:
    fitting = [rest for rest in reading.rests if _fits(rest, reading.value_at)]
    sensor_at, room_at = _before_value(fitting, reading.value_at)
    form, notes = form_of(reading)
    if sensor_at is not None and room_at is None:
        room_at = _room_after(fitting, sensor_at, reading.value_at + 1)
        notes += ("the column after the value is read as the room",) if room_at else ()
    place, second_time = reading.place, reading.second_time
    dialect = Dialect(reading.separator, place, second_time, reading.value_at, sensor_at, room_at)
    tails = (rest[dialect.annotation_at :] for rest in fitting)
    grammar = Grammar.of(tails, separated=reading.separator != WHITE)
    return replace(dialect, form=form, grammar=grammar, notes=notes)


def _before_value(fitting: Sequence[Sequence[str]], value_at: int) -> tuple[int | None, int | None]:
    """Which of the columns before the value names the sensor, and which the room."""
    if value_at != 2:
        return (0, None) if value_at == 1 else (0, 1)
    if _counts_up(fitting):
        return 1, None
    first, second = (sorted({rest[at] for rest in fitting}) for at in (0, 1))
    if looks_like_ids(first) and not looks_like_ids(second):
        return 0, 1
    if looks_like_ids(second) and not looks_like_ids(first):
        return 1, 0
    return None, 0


def _room_after(fitting: Sequence[Sequence[str]], sensor_at: int, column: int) -> int | None:
    """The column after the value where it has one room for each sensor, which no activity has."""
    pairs = {(rest[sensor_at], rest[column]) for rest in fitting if len(rest) > column}
    sensors, rooms = {sensor for sensor, _ in pairs}, {room for _, room in pairs}
    is_room = sum(bool(room_from_name(room)) for room in rooms) >= 0.8 * len(rooms)
    everywhere = sum(len(rest) > column for rest in fitting) > 0.9 * len(fitting)
    one_each = len(pairs) == len(sensors) > 1
    return column if one_each and everywhere and is_room and len(rooms) > 1 else None


def _counts_up(fitting: Sequence[Sequence[str]]) -> bool:
    """Whether the first column numbers the lines."""
    first = [rest[0] for rest in fitting]
    return all(each.isdecimal() for each in first) and len(set(first)) > 0.9 * len(first)


def form_of(reading: Reading) -> tuple[StampForm, tuple[str, ...]]:
    """What the times of a reading leave open, and what has to be said of it."""
    notes: list[str] = []
    if reading.second_time:
        notes.append("each line has two times; the first is taken")
    if reading.epoch:
        units = Counter(_unit(stamp) for stamp in reading.stamps)
        notes.append(f"times are {units.most_common(1)[0][0]} since 1970, read as UTC")
        return StampForm(epoch=True), tuple(notes)
    day_first = day_comes_first(reading.stamps)
    if day_first is not None:
        notes.append(f"dates are read with the {'day' if day_first else 'month'} first")
    zones = Counter(match["zone"] for each in reading.stamps if (match := STAMP.fullmatch(each)))
    zones.pop(None, None)
    if zones:
        notes.append(
            f"times end in {', '.join(sorted(zones)[:3])}; read as the clock times written"
        )
    return StampForm(day_first=bool(day_first)), tuple(notes)


def _unit(stamp: str) -> str:
    found = EPOCH.fullmatch(stamp.strip("\"' "))
    return epoch_unit(int(found["whole"]))[1] if found else ""
