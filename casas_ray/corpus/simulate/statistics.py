"""A log in numbers, to lay a simulated one beside a real one."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.clean import clean
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_SECOND, Events
from casas_ray.corpus.homes import Home
from casas_ray.corpus.log import read_log

_QUANTILES = (0.1, 0.5, 0.9)
_ACTIVITIES = 12
_STARTS, _ENDS = ("ON", "OPEN"), ("OFF", "CLOSE")


def statistics_of(path: Path, facts: Home | None) -> dict[str, Any]:  # Any: what JSON holds
    """The statistics of a log by name: events a day, gaps, ON-to-OFF times, activities, ...

    Raises:
        DataError: the log cannot be read.
    """
    log = read_log(path)
    cleaned = clean(log, facts, name=path.name, drop_types=("temperature",))
    events = cleaned.events
    days = np.unique(events.day)
    per_day = np.bincount((events.day - days[0]).astype(int))
    per_day = per_day[per_day > 0]  # a day of silence says more of the logger than of the home
    gaps = events.gap_seconds[1:]
    held = _held_seconds(events)
    shares = _activity_shares(events)
    return {
        "days": len(days),
        "sensors": len(events.sensor.names),
        "events a day, mean": float(per_day.mean()),
        "events a day, least and most": [int(per_day.min()), int(per_day.max())],
        "seconds between events, 10/50/90 %": _quantiles(gaps),
        "seconds from ON to OFF, 10/50/90 %": _quantiles(held),
        "next event from the same sensor": float(
            (np.diff(events.sensor.codes) == 0).mean() if len(events) > 1 else 0.0
        ),
        "events with an activity": 1.0 - shares.get(NO_ACTIVITY, 0.0),
        "activities": {
            name: share for name, share in list(shares.items())[:_ACTIVITIES] if name != NO_ACTIVITY
        },
        "sensors an activity, median": _sensors_an_activity(cleaned.events),
    }


def _quantiles(values: NDArray[np.float64]) -> list[float]:
    if not len(values):
        return []
    return [round(float(value), 2) for value in np.quantile(values, _QUANTILES)]


def _held_seconds(events: Events) -> NDArray[np.float64]:
    """From each ON or OPEN to the next OFF or CLOSE of the same sensor."""
    order = np.lexsort((events.time_us, events.sensor.codes))
    state = np.array(events.state.names)[events.state.codes[order]]
    sensor, time_us = events.sensor.codes[order], events.time_us[order]
    pair = (sensor[:-1] == sensor[1:]) & np.isin(state[:-1], _STARTS) & np.isin(state[1:], _ENDS)
    return (time_us[1:] - time_us[:-1])[pair] / US_PER_SECOND


def _activity_shares(events: Events) -> dict[str, float]:
    return {name: count / len(events) for name, count in events.label.counts().items()}


def _sensors_an_activity(events: Events) -> float:
    """Sensors that make nine tenths of an activity's events; the median over activities."""
    sensors = []
    for code, name in enumerate(events.label.names):
        if name != NO_ACTIVITY:
            counts = Counter(events.sensor.codes[events.label.codes == code].tolist())
            shares = np.cumsum(sorted(counts.values(), reverse=True)) / sum(counts.values())
            sensors.append(int(np.searchsorted(shares, 0.9)) + 1)
    return float(np.median(sensors)) if sensors else 0.0
