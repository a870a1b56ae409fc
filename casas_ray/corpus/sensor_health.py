"""Sensors that bounce, seem inverted or are stuck."""

# N events

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_SECOND, Coded, Events

_ON, _OFF = ("ON", "OPEN"), ("OFF", "CLOSE")
_FEW = 20
"""Events of a sensor that tell nothing yet."""

_MOSTLY = 0.75
"""A share of the time in which no door stands open and nobody walks."""

_NAMED = 5


def bouncing(
    time_us: NDArray[np.int64],
    sensor: NDArray[np.integer],
    state: NDArray[np.integer],
    seconds: float,
) -> NDArray[np.bool_]:
    """Which of N events in order of time are bounces, to be left out.

    Events of one sensor that come within so many seconds, one after another, are a burst. Its first
    stays, and its last where that says something else.
    """
    bounces = np.zeros(len(time_us), dtype=bool)
    order = np.argsort(sensor, kind="stable")
    apart = np.diff(time_us[order]) >= seconds * US_PER_SECOND
    starts = np.concatenate([[True], apart | (np.diff(sensor[order]) != 0)])[: len(order)]
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(order)) - 1
    kept = starts.copy()
    kept[last[state[order][last] != state[order][first]]] = True
    bounces[order[~kept]] = True
    return bounces


def remarks(events: Events) -> list[str]:
    """What to say of sensors that seem inverted, or stuck, in sentences."""
    shares = {
        name: _share_on(events, code)
        for code, name in enumerate(events.sensor.names)
        if np.count_nonzero(events.sensor.codes == code) >= _FEW
    }
    mostly_on = [(share, name) for name, share in shares.items() if share and share >= _MOSTLY]
    said = [
        f"{name} is on for {share:.0%} of the time: inverted, or left open?"
        for share, name in sorted(mostly_on, reverse=True)[:_NAMED]
    ]
    two_faced = [name for name, share in shares.items() if share is not None]
    stuck = [name for name, share in shares.items() if share is None and _says_on(events, name)]
    if stuck and len(two_faced) >= len(shares) / 2:
        more = f" and {len(stuck) - _NAMED} more" if len(stuck) > _NAMED else ""
        said.append(
            f"{', '.join(stuck[:_NAMED])}{more} never changed while others did: stuck, or half a "
            "sensor?"
        )
    return said


def _share_on(events: Events, code: int) -> float | None:
    """The share of its time that a sensor is on; None where it is not seen both on and off."""
    rows = np.flatnonzero(events.sensor.codes == code)
    states = [events.state.names[each] for each in events.state.codes[rows].tolist()]
    on, off = (np.isin(states, names) for names in (_ON, _OFF))
    if not on.any() or not off.any():
        return None
    passed = np.diff(events.time_us[rows])
    return float(passed[on[:-1]].sum() / max(1, passed[(on | off)[:-1]].sum()))


def _says_on(events: Events, name: str) -> bool:
    rows = np.flatnonzero(events.sensor.codes == events.sensor.names.index(name))
    found = Coded(events.state.codes[rows], events.state.names).counts()
    return len(found) == 1 and next(iter(found)) in (*_ON, *_OFF)
