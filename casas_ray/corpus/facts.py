"""The facts of the home behind a log: written down, read off the log, or some of each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from casas_ray.corpus.annotation import NUMBER
from casas_ray.corpus.homes import Home, Sensor, derived_home
from casas_ray.corpus.log import STATES
from casas_ray.corpus.raw_log import RawLog
from casas_ray.corpus.sensor_names import (
    MEASURED,
    NEVER_EVENTS,
    is_no_room,
    room_from_name,
    type_from_name,
)
from casas_ray.errors import DataError
from casas_ray.files import shown

_LEAST_LINES = 3
"""A sensor that the home's facts do not know is a typing error below this."""

_MOST_NAMED = 12


class Fault(NamedTuple):
    """Why a readable line is no event of a home; all empty where it is one."""

    reason: str = ""
    dropped_type: str = ""
    """Set where it is left out by its type alone."""


class _Seen(NamedTuple):
    """What a log says of one sensor."""

    lines: int
    area: str
    type: str


def facts_for(log: RawLog, written: Home | None, name: str) -> tuple[Home, list[str]]:
    """The home with every sensor of the log that counts, and what a user has to know of it.

    Raises:
        DataError: the log has no sensor of the home that was written down.
    """
    seen = _sensors(log)
    if written is None:
        rooms, notes = _rooms(seen)
        types = {sensor: about.type for sensor, about in seen.items() if about.type}
        return derived_home(name, rooms=rooms, types=types), notes
    if not written.sensors.keys() & seen.keys():
        raise DataError(
            f"{shown(log.path)}: none of its {len(seen)} sensors is in home '{written.home}': it "
            f"has {_some(seen)}.",
            hint=f"is it another home's log? bring it under a name of its own, which is not "
            f"'{written.home}'.",
        )
    return _with_strangers(written, seen)


def _with_strangers(written: Home, seen: Mapping[str, _Seen]) -> tuple[Home, list[str]]:
    strangers = {
        sensor: about
        for sensor, about in seen.items()
        if sensor not in written.sensors and about.lines >= _LEAST_LINES
    }
    if not strangers:
        return written, []
    sensors = dict(written.sensors) | {
        sensor: Sensor(
            type=about.type or type_from_name(sensor),
            room=about.area or room_from_name(sensor) or sensor,
        )
        for sensor, about in strangers.items()
    }
    known = len(seen.keys() & written.sensors.keys())
    found = (f"{sensor} ({about.lines:,} lines)" for sensor, about in strangers.items())
    note = (
        f"the facts of home '{written.home}' cover {known} of the log's {len(seen)} sensors; kept "
        f"in rooms of their own names: {_some(found)}"
    )
    return written.model_copy(update={"sensors": sensors}), [note]


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _rooms(seen: Mapping[str, _Seen]) -> tuple[dict[str, str], list[str]]:
    rooms = {sensor: about.area for sensor, about in seen.items()}
    named = {
        sensor: room
        for sensor, area in rooms.items()
        if not area and (room := room_from_name(sensor))
    }
    note = f"rooms were read off names: {_some(f'{s} in {r}' for s, r in named.items())}"
    return rooms | named, [note] if named else []


def _sensors(log: RawLog) -> dict[str, _Seen]:
    """Every sensor of the log's events, in the order in which they first come."""
    counts = np.bincount(log.said[log.is_event], minlength=len(log.meanings)).tolist()
    areas: dict[str, Counter[str]] = {}
    types: dict[str, Counter[str]] = {}
    for said, lines in zip(log.meanings, counts, strict=True):
        if not lines:
            continue
        area = "" if is_no_room(said.room) else said.room
        areas.setdefault(said.sensor, Counter())[area] += lines
        # A motion sensor also tells of its battery: its states say what it is.
        weight = lines * (1000 if said.value in STATES and said.type not in MEASURED else 1)
        types.setdefault(said.sensor, Counter())[said.type] += weight
    return {
        sensor: _Seen(found.total(), _most(found), _most(types[sensor]))
        for sensor, found in areas.items()
    }


def _most(counts: Counter[str]) -> str:
    named = Counter({name: count for name, count in counts.items() if name})
    # On few of its lines it is a slip.
    return named.most_common(1)[0][0] if named.total() * 10 >= counts.total() else ""


def faults(log: RawLog, home: Home, drop_types: frozenset[str]) -> list[Fault]:
    """By meaning of the log: why its lines are no events of the home."""
    return [fault_of(said.sensor, said.type, said.value, home, drop_types) for said in log.meanings]


def fault_of(sensor: str, kind: str, value: str, home: Home, drop_types: frozenset[str]) -> Fault:
    """Why a line that says this is no event of the home."""
    facts = home.sensors.get(sensor)
    # What the line itself measures comes first: a motion sensor's battery is no motion.
    kind = kind if kind in MEASURED or facts is None else facts.type
    if kind in drop_types or kind in NEVER_EVENTS:
        return Fault(f"left out by type: {kind}", kind)
    if facts is None:
        return Fault(f"sensor not in home {home.home}")
    if value in STATES:
        return Fault()
    what = "number" if NUMBER.fullmatch(value) else "word"
    return Fault(f"a {what} from a {kind} sensor")
