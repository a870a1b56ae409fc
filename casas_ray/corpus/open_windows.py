"""Windows of events that are still coming: each is told as soon as nothing can change it."""

# E events that are held

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import WindowConfig
from casas_ray.corpus.events import Coded, Events
from casas_ray.corpus.windows import Windows, candidates

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Told:
    """Windows that are whole, with the events that they are ranges of, and some before those."""

    events: Events
    windows: Windows


class OpenWindows:
    """Cuts windows from a home's events as they come: the same ones that `cut` cuts from all of
    them.

    It holds the events from the last whole window's first on, those of `remembered_us` before it,
    and of each sensor the last one before those.
    """

    def __init__(self, config: WindowConfig, *, remembered_us: int = 0) -> None:
        self._config = config
        self._remembered_us = remembered_us
        self._events: Events | None = None
        self._first = 0
        """The event that the next windows are counted from: a window starts there."""

        self._is_told = False
        """Whether that window was told before."""

        self._covered = 0
        """The event after the last one that a window has."""

    def add(self, events: Events) -> Told:
        """The windows that are whole now; more events, in order of time, come after the others."""
        self._events = events if self._events is None else _joined(self._events, events)
        starts, ends = candidates(self._events.time_us[self._first :], self._config)
        count = len(self._events) - self._first
        # A window by time is whole when an event lies beyond it, one by number when it is full.
        full = ends - starts == self._config.length
        whole = (ends < count) | (full if self._config.kind == "fixed_length" else False)
        return self._told(starts[whole], ends[whole])

    def end(self) -> Told | None:
        """The windows that the end of the events makes whole; None where there was no event."""
        if self._events is None:
            return None
        starts, ends = candidates(self._events.time_us[self._first :], self._config)
        return self._told(starts, ends)

    def _told(self, starts: Ints, ends: Ints) -> Told:
        assert self._events is not None
        events, skipped = self._events, int(self._is_told)
        last = self._first + int(starts[-1]) if len(starts) else self._first
        self._is_told = self._is_told or len(starts) > 0
        starts, ends = starts[skipped:] + self._first, ends[skipped:] + self._first
        before = np.maximum.accumulate(np.concatenate([[self._covered], ends]))
        keep = (ends - starts >= self._config.least_events) & (ends > before[:-1])
        self._covered = int(before[-1])
        self._forget(last)
        return Told(events, Windows(starts[keep], ends[keep]))

    def _forget(self, first: int) -> None:
        """Let go of what no later window needs; the next ones are counted from this event."""
        assert self._events is not None
        held, kept = self._events, np.arange(first, len(self._events))
        if self._remembered_us:
            since = held.time_us[first] - self._remembered_us
            edge = int(np.searchsorted(held.time_us[:first], since))
            kept = np.concatenate(
                [_last_of_each(held.sensor.codes[:edge]), np.arange(edge, first), kept]
            )
        gone = len(held) - len(kept)
        self._events = held.take(kept)
        self._first, self._covered = first - gone, self._covered - gone


def _last_of_each(codes: NDArray[np.int32]) -> Ints:
    """The index of the last event of each sensor, in order."""
    _, from_the_end = np.unique(codes[::-1], return_index=True)
    return np.sort(len(codes) - 1 - from_the_end)


def _joined(held: Events, more: Events) -> Events:
    return Events(
        np.concatenate([held.time_us, more.time_us]),
        np.concatenate([held.line, more.line]),
        *(
            _joined_names(getattr(held, name), getattr(more, name))
            for name in ("sensor", "state", "label")
        ),
    )


def _joined_names(held: Coded, more: Coded) -> Coded:
    """Rows after rows; names stay in their order, and new ones come after them."""
    names = tuple(dict.fromkeys((*held.names, *more.names)))
    index = {name: code for code, name in enumerate(names)}
    codes = np.array([index[name] for name in more.names], dtype=np.int32)[more.codes]
    return Coded(np.concatenate([held.codes, codes]), names)
