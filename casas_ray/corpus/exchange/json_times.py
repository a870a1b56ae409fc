"""Times in alignment JSON: written out or counted from 1970, in seconds, milliseconds or less."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_SECOND
from casas_ray.corpus.exchange.field_names import is_missing, names_in
from casas_ray.corpus.exchange.shapes import Sample
from casas_ray.corpus.stamps import EPOCH, NO_TIME, StampForm, epoch_unit
from casas_ray.corpus.vocab import gap_buckets, gap_seconds_of
from casas_ray.errors import DataError

_LARGEST = 1e19
_SECONDS_OF_1973 = 10**8
_LEAST_GAP = 30.0
"""Seconds before a window's first event where neither bucket nor another gap tells them."""

Events = list[dict[str, Any]]  # Any: what JSON holds
Where = Callable[[int], str]
"""An event's place in words, by its index."""


def times_us(events: Events, where: Where) -> NDArray[np.float64]:
    """The time of each event in microseconds since 1970; NaN where it tells none.

    Raises:
        DataError: a time is none.
    """
    values = [_number_or_text(event.get("timestamp")) for event in events]
    times = np.full(len(values), np.nan)
    written = {index: value for index, value in enumerate(values) if isinstance(value, str)}
    texts = list(written)
    if texts:
        read, _ = StampForm().read(list(written.values()))
        if (wrong := np.flatnonzero(read == NO_TIME)).size:
            index = texts[int(wrong[0])]
            raise DataError(
                f"{where(index)}: 'timestamp' is {values[index]!r:.40}; wanted YYYY-MM-DD HH:MM:SS "
                "or a number of milliseconds since 1970."
            )
        times[texts] = read
    for index, value in enumerate(values):
        if not isinstance(value, str):
            times[index] = _counted(value, index, where)
    return times


def _number_or_text(value: Any) -> Any:  # Any: what JSON holds
    # Tables that were made JSON have numbers as text.
    return float(value) if isinstance(value, str) and EPOCH.fullmatch(value.strip()) else value


def _counted(value: Any, index: int, where: Where) -> float:
    if value is None:
        return np.nan
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LARGEST:
        raise DataError(
            f"{where(index)}: 'timestamp' is {value!r:.40}; wanted a number of milliseconds since "
            "1970, or YYYY-MM-DD HH:MM:SS."
        )
    us, _ = epoch_unit(int(value))
    return float(value) * us if us else float(value) / 1000


def time_notes(samples: Sequence[Sample]) -> list[str]:
    """What a user has to know of how these times were read."""
    values = [_number_or_text(sample.events[0].get("timestamp")) for sample in samples]
    numbers = [value for value in values if isinstance(value, (int, float))]
    units = {epoch_unit(int(value))[1] for value in numbers if 0 <= value <= _LARGEST}
    said = [f"timestamps are {unit} since 1970" for unit in sorted(units - {"milliseconds"})]
    if any(value < _SECONDS_OF_1973 for value in numbers):
        said.append("some of them are days of 1970 to 1973; do they count from somewhere else?")
    if nothing := sum(value is None for value in values):
        said.append(f"{nothing} windows begin without a timestamp, and stand at 1970-01-01")
    zoned = [value for value in values if isinstance(value, str) and StampForm.has_zone(value)]
    if zoned:
        said.append(f"times such as {zoned[0]} are read as the clock times written")
    return said


def gaps(
    samples: Sequence[Sample], events: Events, told: NDArray[np.float64], where: Where
) -> NDArray[np.float32]:
    """Seconds since the event before: as told, else by the times, else by the bucket.

    Raises:
        DataError: it takes a bucket to know one, and nobody knows that bucket.
    """
    if np.isnan(told).any():
        firsts = np.cumsum([0, *(len(sample.events) for sample in samples[:-1])])
        since = np.diff(times_us(events, where), prepend=np.nan) / US_PER_SECOND
        # Before a window's first event the file tells a bucket only.
        since[firsts] = np.nan
        told = np.where(np.isnan(told), since, told)
        name = names_in(samples)["time_gap"]
        for index in np.flatnonzero(np.isnan(told)).tolist():
            told[index] = _of_bucket(events[index].get(name), name, index, where)
        usual = float(np.nanmedian(told)) if np.isfinite(told).any() else _LEAST_GAP
        told = np.nan_to_num(told, nan=usual)
    return np.maximum(told, 0.0).astype(np.float32)


def _of_bucket(bucket: object, name: str, index: int, where: Where) -> float:
    if is_missing(bucket):
        return np.nan
    seconds = gap_seconds_of(str(bucket))
    if seconds is None:
        raise DataError(
            f"{where(index)}: '{name}' is {bucket!r:.40}; how long that is nobody knows.",
            hint=f"the buckets are {', '.join(gap_buckets())}.",
        )
    return seconds
