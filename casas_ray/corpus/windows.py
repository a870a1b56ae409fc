"""Windows: ranges of events, cut inside one stretch of days."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import WindowConfig
from casas_ray.corpus.events import US_PER_SECOND, Coded, Events

Stretches = Iterable[tuple[int, int]]
LONGEST = 4096
"""Events of the longest window; a longer one is cut off here."""


@dataclass(frozen=True)
class Windows:
    """N windows as event ranges: window i holds events first[i] up to, not including, after[i]."""

    first: NDArray[np.int64]
    after: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def length(self) -> NDArray[np.int64]:
        """Number of events of each window."""
        return self.after - self.first

    def rows(self) -> NDArray[np.int64]:
        """The event rows of all windows, window after window."""
        offsets = np.cumsum(self.length) - self.length
        return np.arange(int(self.length.sum())) + np.repeat(self.first - offsets, self.length)

    def part(self, start: int, stop: int) -> "Windows":
        """The windows from `start` up to, not including, `stop`."""
        return Windows(self.first[start:stop], self.after[start:stop])


def cut(events: Events, stretches: Stretches, config: WindowConfig) -> Windows:
    """The windows within each stretch of event rows [first, after).

    Fixed length: `length` events every `stride` events. Fixed duration: the events of `seconds`
    from an event on; the next window starts at the first event after `1 - overlap` of them.
    No window goes on over a gap of more than `max_gap_minutes`.
    A window with fewer than `min_events` is left out, and one that holds no event beyond those of
    the window before.
    """
    if config.max_gap_minutes:
        stretches = _without_gaps(events, stretches, config.max_gap_minutes)
    if config.presegmented:
        stretches = _segments(events, stretches)
    parts = [_cut(events, first, after, config) for first, after in stretches]
    if not parts:
        return Windows(np.empty(0, np.int64), np.empty(0, np.int64))
    return Windows(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.after for part in parts]),
    )


def _without_gaps(events: Events, stretches: Stretches, minutes: float) -> Stretches:
    """The stretches cut where nothing happens for longer."""
    longest_us = minutes * 60 * US_PER_SECOND
    gaps = np.flatnonzero(np.diff(events.time_us) > longest_us) + 1
    return _cut_at(gaps, stretches)


def _segments(events: Events, stretches: Stretches) -> Stretches:
    """The stretches cut wherever the label changes."""
    return _cut_at(np.flatnonzero(np.diff(events.label.codes)) + 1, stretches)


def _cut_at(places: NDArray[np.int64], stretches: Stretches) -> Stretches:
    for first, after in stretches:
        inside = places[(places > first) & (places < after)].tolist()
        yield from zip([first, *inside], [*inside, after], strict=True)


def _cut(events: Events, first: int, after: int, config: WindowConfig) -> Windows:
    starts, ends = candidates(events.time_us[first:after], config)
    starts, ends = starts + first, ends + first
    # Near the end of a stretch windows would come that only repeat the tail of the one before.
    covered = np.concatenate([[first], np.maximum.accumulate(ends)[:-1]]) if len(starts) else ends
    keep = (ends - starts >= config.least_events) & (ends > covered)
    return Windows(starts[keep], ends[keep])


def candidates(
    time_us: NDArray[np.int64], config: WindowConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first event of every window from the first of these events on, and the one after its
    last, before those that are too short or repeat others are left out.

    A window that starts here starts here too when earlier events are gone, if only one of these
    windows starts with the first that is left.
    """
    if config.kind == "fixed_duration":
        return _by_duration(time_us, config)
    starts = np.arange(0, len(time_us), config.stride, dtype=np.int64)
    return starts, np.minimum(starts + config.length, len(time_us))


def _by_duration(
    time_us: NDArray[np.int64], config: WindowConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lasts = round(config.seconds * US_PER_SECOND)
    step = max(1, round(lasts * (1.0 - config.overlap)))
    # For each event the one that the next window would start at; a list, since numpy's scalars are
    # slow one by one.
    following: list[int] = np.searchsorted(time_us, time_us + step, side="left").tolist()
    starts, here = [], 0
    while here < len(following):
        starts.append(here)
        here = following[here]
    first = np.asarray(starts, dtype=np.int64)
    after = np.searchsorted(time_us, time_us[first] + lasts, side="left")
    return first, np.minimum(after, first + LONGEST)


def label_shares(windows: Windows, label: Coded) -> list[list[tuple[str, float]]]:
    """For each window its labels with their shares of events, the largest share first.

    Equal shares keep the order in which the labels first appear in the window.
    """
    return [
        _shares(label.codes[first:after], label.names)
        for first, after in zip(windows.first.tolist(), windows.after.tolist(), strict=True)
    ]


def _shares(codes: NDArray[np.int32], names: tuple[str, ...]) -> list[tuple[str, float]]:
    counts: dict[int, int] = {}
    for code in codes.tolist():
        counts[code] = counts.get(code, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return [(names[code], count / len(codes)) for code, count in ranked]
