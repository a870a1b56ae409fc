"""Samples of JSON as window columns: the fast way for good files, the slow one to name a flaw."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.alignment import CaptionIndex, WindowColumns
from casas_ray.corpus.exchange.field_names import names_in
from casas_ray.corpus.exchange.json_times import gaps, times_us
from casas_ray.corpus.exchange.shapes import Sample
from casas_ray.corpus.homes import words
from casas_ray.corpus.vocab import UNK, Vocabulary
from casas_ray.corpus.windows import LONGEST
from casas_ray.errors import DataError

_LARGEST_NUMBER = 1e15
"""No gap or coordinate is larger."""

_LIKE_POSITION = re.compile(r"(?:^|_)(?:x|y|xy)$|pos(?:ition)?(?:_|$)|coord", re.IGNORECASE)
_OF_EVERY_EVENT = ("sensor", "state")
"""Without these there is no event; any other field that is missing is unknown."""

Events = list[dict[str, Any]]  # Any: what JSON holds


def columns_of(
    samples: Sequence[Sample],
    vocabulary: Vocabulary,
    captions: Sequence[NDArray[np.int32]],
    scale: float,
    index: CaptionIndex,
) -> tuple[WindowColumns, int]:
    """The columns of some windows, and how many of their values the vocabulary does not know.

    Raises:
        DataError: an event lacks a field, or a number is none.
    """
    events: Events = list(chain.from_iterable(sample.events for sample in samples))
    length = np.array([len(sample.events) for sample in samples])
    _refuse_too_long(samples, length)
    names = names_in(samples)
    ids = {
        field: _ids(samples, events, vocabulary, field, names[field]) for field in vocabulary.fields
    }
    start_us = np.nan_to_num(times_us([sample.events[0] for sample in samples], _at_first(samples)))
    told = _numbers(samples, events, "delta_t_since_prev")
    return WindowColumns(
        id=[sample.id for sample in samples],
        home=[""] * len(samples),
        first_event=np.full(len(samples), -1, dtype=np.int64),  # the file does not tell it
        start_us=start_us.astype(np.int64),
        length=length.astype(np.int16),
        ids=ids,
        gap_seconds=gaps(samples, events, told, partial(_event_at, samples)),
        xy=(_positions(samples, events) / scale).astype(np.float32),
        sensor_text=_described(ids, vocabulary, index),
        caption_ids=captions,
        label=[sample.shares[0][0] for sample in samples],
        shares=[sample.shares for sample in samples],
    ), sum(int(np.count_nonzero(column == UNK)) for column in ids.values())


def _at_first(samples: Sequence[Sample]) -> Callable[[int], str]:
    return lambda index: f"{samples[index].where}: event 0"


def _refuse_too_long(samples: Sequence[Sample], length: NDArray[np.int64]) -> None:
    # Lengths are kept in 16 bits, and attention grows with their square.
    if length.max() > LONGEST:
        longest = int(length.argmax())
        raise DataError(
            f"{samples[longest].where}: {length[longest]} events; a window has {LONGEST} at most."
        )


def _described(
    ids: Mapping[str, NDArray[np.int16]], vocabulary: Vocabulary, index: CaptionIndex
) -> NDArray[np.int32]:
    """Sensors in words, from what the file says of them: their type and their room."""
    kinds, rooms = vocabulary.values["sensor_type"], vocabulary.values["room"]
    pair = ids["sensor_type"].astype(np.int64) * len(rooms) + ids["room"]
    pairs, code = np.unique(pair, return_inverse=True)
    kinds_rooms = [divmod(number, len(rooms)) for number in pairs.tolist()]
    texts = [f"{words(kinds[kind])} sensor, {words(rooms[room])}" for kind, room in kinds_rooms]
    return index.add([texts])[0][code]


def position_notes(samples: Sequence[Sample]) -> list[str]:
    """What a user has to know of how these positions were read."""
    events = list(chain.from_iterable(sample.events for sample in samples))
    names = sorted({name for event in events for name in event if _LIKE_POSITION.search(name)})
    if not names or np.isfinite(_positions(samples, events)).any():
        return []
    return [f"no event has a number as its x and its y, for all that they have {', '.join(names)}"]


def position_scale(samples: Sequence[Sample]) -> float:
    """What coordinates are divided by: the largest coordinate of these windows."""
    # Of the first windows that train, not of each piece: one place must not move between splits.
    events = list(chain.from_iterable(sample.events for sample in samples))
    placed = np.abs(_positions(samples, events))
    largest = float(np.nanmax(placed)) if np.isfinite(placed).any() else 0.0
    return largest or 1.0


def _ids(
    samples: Sequence[Sample], events: Events, vocabulary: Vocabulary, field: str, name: str
) -> NDArray[np.int16]:
    known = vocabulary.ids(field)
    try:
        return np.fromiter(
            map(known.__getitem__, map(itemgetter(name), events)), np.int16, len(events)
        )
    except (KeyError, TypeError):
        # Some event lacks the field, or has a value that is unknown or no text.
        values = [event.get(name) for event in events]
        if field in _OF_EVERY_EVENT and (lacks := _first_missing(values)) is not None:
            raise DataError(f"{_event_at(samples, lacks)} has no '{name}'.") from None
        _refuse_nested(samples, values, name)
        return np.array([known.get(str(value), UNK) for value in values], dtype=np.int16)


def _first_missing(values: Sequence[object]) -> int | None:
    return next((index for index, value in enumerate(values) if value is None), None)


def _refuse_nested(samples: Sequence[Sample], values: Sequence[object], name: str) -> None:
    for index, value in enumerate(values):
        if isinstance(value, (list, dict)):
            raise DataError(
                f"{_event_at(samples, index)}: '{name}' is {value!r:.40}; wanted a text."
            )


def _positions(samples: Sequence[Sample], events: Events) -> NDArray[np.float64]:
    return np.stack([_numbers(samples, events, name) for name in "xy"], axis=1)


def _event_at(samples: Sequence[Sample], index: int) -> str:
    for sample in samples:
        if index < len(sample.events):
            return f"{sample.where}: event {index}"
        index -= len(sample.events)
    raise AssertionError("unreachable: the index is one of an event")


def _numbers(samples: Sequence[Sample], events: Events, name: str) -> NDArray[np.float64]:
    """One number an event; NaN where there is none."""
    values = [event.get(name) for event in events]
    # By exact type: True is an int to isinstance and to numpy, and would pass for the number 1.
    if set(map(type, values)) <= {int, float, type(None)}:
        try:
            numbers = np.array(values, dtype=np.float64)
        except OverflowError:  # an integer beyond any double
            numbers = np.array(
                [np.inf if value and abs(value) > _LARGEST_NUMBER else 0.0 for value in values]
            )
        if not (np.abs(numbers) > _LARGEST_NUMBER).any():
            return numbers
    index = next(index for index, value in enumerate(values) if not _is_number(value))
    raise DataError(
        f"{_event_at(samples, index)}: '{name}' is {values[index]!r:.40}; wanted a number."
    )


def _is_number(value: object) -> bool:
    # JSON can write 1e999, which Python reads as infinite. A truth value is no number here.
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST_NUMBER
