"""Events brought as columns, cut into windows with the ids of a set that exists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from casas_ray.config import WindowConfig
from casas_ray.corpus.alignment import FIELD_PREFIX, PreparedSet, flat
from casas_ray.corpus.captions import sensor_words
from casas_ray.corpus.columns import DescribedEvents, window_columns
from casas_ray.corpus.events import NO_ACTIVITY, Coded, Events
from casas_ray.corpus.homes import Home, derived_home, load_home
from casas_ray.corpus.sensor_health import bouncing
from casas_ray.corpus.vocab import Vocabulary, field_columns
from casas_ray.corpus.windows import Windows, cut
from casas_ray.errors import DataError, did_you_mean

WANTED = ("time", "sensor", "state")


class EventColumns(Protocol):
    """Columns by name, as a pandas or polars frame, an Arrow table or a dictionary has them."""

    def __getitem__(self, name: str, /) -> ArrayLike: ...


def events_of(columns: EventColumns) -> Events:
    """The event table of the columns `time`, `sensor` and `state`, sorted by time.

    Times are datetime64, or text such as `2009-10-16 08:00:02.5`.

    Raises:
        DataError: a column is missing or of another length, or a time is none.
    """
    time, sensor, state = (_column(columns, name) for name in WANTED)
    if not len(time) == len(sensor) == len(state):
        raise DataError(
            f"time, sensor and state have {len(time)}, {len(sensor)}, {len(state)} rows."
        )
    if not len(time):
        raise DataError("there are no events: the columns have no rows.")
    time_us = _microseconds(time)
    order = np.argsort(time_us, kind="stable")
    return Events(
        time_us=time_us[order],
        line=order + 1,  # the row as it was brought, counted from 1 as lines of a log are
        sensor=Coded.of([str(sensor[row]) for row in order.tolist()]),
        state=Coded.of([str(state[row]) for row in order.tolist()]),
        label=Coded(np.zeros(len(order), np.int32), (NO_ACTIVITY,)),
    )


def _column(columns: EventColumns, name: str) -> NDArray[np.generic]:
    try:
        return np.asarray(columns[name])
    except (KeyError, IndexError, TypeError, ValueError):
        raise DataError(
            f"events have no column '{name}'.", hint=f"wanted are {', '.join(WANTED)}."
        ) from None


def _microseconds(time: NDArray[np.generic]) -> NDArray[np.int64]:
    try:
        stamps = time.astype("datetime64[us]")
    except (ValueError, TypeError) as error:
        raise DataError(
            f"column 'time' holds something that is no time: {error}.",
            hint="wanted is datetime64, or text such as 2009-10-16 08:00:02.5, in local time.",
        ) from None
    if np.isnat(stamps).any():
        raise DataError("column 'time' has rows without a time.", hint="leave those rows out.")
    return stamps.astype(np.int64)


@dataclass(frozen=True)
class KnownHomes:
    """The homes of a set, as far as new events of theirs need them."""

    vocabulary: Vocabulary
    homes: Mapping[str, Home]
    debounce_seconds: float = 0.0
    """What the set's events were cleaned with (`data.clean`)."""

    @classmethod
    def of(cls, prepared: PreparedSet) -> "KnownHomes":
        """What a set shows of its homes, and what is written of them.

        Raises:
            DataError: a file of the set, or of a home's facts, is damaged.
        """
        names = list(prepared.manifest["homes"])
        homes = {home: _home_in(prepared, home) for home in names}
        clean = prepared.manifest.get("settings", {}).get("clean", {})
        return cls(prepared.vocabulary, homes, clean.get("debounce_seconds", 0.0))

    @classmethod
    def build(cls, held: Mapping[str, Any]) -> "KnownHomes":  # Any: what JSON holds
        """The homes that `as_dict` turned into JSON."""
        values = {field: tuple(names) for field, names in held["vocabulary"].items()}
        homes = {name: Home.build(facts) for name, facts in held["homes"].items()}
        return cls(Vocabulary(values), homes, held.get("debounce_seconds", 0.0))

    def as_dict(self) -> dict[str, Any]:
        """The homes as JSON can hold them: the vocabulary, and of each home its sensors."""
        values = {field: list(names) for field, names in self.vocabulary.values.items()}
        homes = {
            name: home.model_dump(mode="json", include={"home", "sensors", "derived"})
            for name, home in self.homes.items()
        }
        cleaned = {"debounce_seconds": self.debounce_seconds} if self.debounce_seconds else {}
        return {"vocabulary": values, "homes": homes, **cleaned}

    def facts(self, home: str) -> Home:
        """The facts of a home; of no name, of the only one.

        Raises:
            DataError: there is no such home, or there are several.
        """
        if home in self.homes:
            return self.homes[home]
        if home:
            raise DataError(f"no home '{home}' is known.", hint=did_you_mean(home, self.homes))
        if len(self.homes) > 1:
            names = ", ".join(self.homes)
            raise DataError(f"{len(self.homes)} homes are known.", hint=f"name one of {names}.")
        return next(iter(self.homes.values()))


def windows_like(
    known: KnownHomes, events: Events, config: WindowConfig, home: str
) -> tuple[pa.Table, list[str]]:
    """New events of a home as windows with the ids of its set, and the sensors in words.

    One row a window; `sensor_text` and `captions` of a row are indices into the words.

    Raises:
        DataError: the events are no events of that home, or too few for one window.
    """
    facts = known.facts(home)
    events = _settled(events, known.debounce_seconds)
    strangers = sorted(set(events.sensor.names) - facts.sensors.keys())
    if strangers:
        raise DataError(
            f"{len(strangers)} sensor(s) of the events are not in home '{facts.home}': "
            f"{', '.join(strangers[:5])}.",
            hint="leave their rows out, or add them to the home's facts and prepare again.",
        )
    windows = cut(events, [(0, len(events))], config)
    if not len(windows):
        raise DataError(
            f"{len(events)} events make no window: one wants {config.least_events} or more."
        )
    return windows_with_ids(known, events, windows, facts)


def windows_with_ids(
    known: KnownHomes, events: Events, windows: Windows, facts: Home
) -> tuple[pa.Table, list[str]]:
    """Windows that are cut already, as `windows_like` gives them."""
    fields = _fields_like(known, events, facts)
    words = sensor_words(events, facts)
    ids = np.arange(len(words), dtype=np.int32)
    captions = [ids[:1]] * len(windows)  # a row must have one; nobody asks for it
    described = DescribedEvents(facts.home, events, facts, fields)
    table = window_columns(described, windows, known.vocabulary, captions, ids).table()
    return table, words


def _settled(events: Events, seconds: float) -> Events:
    """The events without bounces, where the set was made without."""
    if not seconds:
        return events
    bounces = bouncing(events.time_us, events.sensor.codes, events.state.codes, seconds)
    return events.take(np.flatnonzero(~bounces))


def _fields_like(known: KnownHomes, events: Events, facts: Home) -> dict[str, Coded]:
    """Every field of the set, made as `prepare` makes it; else the ids would be other values'."""
    fields = field_columns(events, facts)
    if len(known.homes) > 1:
        qualified = (f"{facts.home}.{sensor}" for sensor in fields["sensor"].names)
        fields["sensor"] = fields["sensor"].translated(qualified)
    for field in known.vocabulary.fields:
        nowhere = Coded(np.zeros(len(events), np.int32), ("unknown",))
        fields.setdefault(field, nowhere)
    return fields


def _home_in(prepared: PreparedSet, home: str) -> Home:
    """The facts of a home as the training windows of the set show them, and as they are written."""
    table = prepared.windows("train")
    table = table.filter(pa.array([name == home for name in table.column("home").to_pylist()]))
    names = {field: _values(prepared, table, field) for field in ("sensor", "room", "sensor_type")}
    prefix = f"{home}." if len(prepared.manifest["homes"]) > 1 else ""
    sensors = [name.removeprefix(prefix) for name in names["sensor"]]
    facts = derived_home(
        home,
        rooms=dict(zip(sensors, names["room"], strict=True)),
        types=dict(zip(sensors, names["sensor_type"], strict=True)),
    )
    written = load_home(home)
    # The set may have sensors that the facts leave out.
    return (
        written.model_copy(update={"sensors": facts.sensors | written.sensors})
        if written
        else facts
    )


def _values(prepared: PreparedSet, table: pa.Table, field: str) -> Sequence[str]:
    values = prepared.vocabulary.values[field]
    return [values[code] for code in flat(table, FIELD_PREFIX + field).tolist()]
