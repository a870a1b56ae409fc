"""Windows: ranges of events, cut inside one stretch of days."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import WindowConfig
from casas_ray.corpus.events import Coded


@dataclass(frozen=True)
class Windows:
    """N windows as event ranges: window i holds events first[i] up to, not including, after[i]."""

    first: NDArray[np.int64]
    after: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def length(self) -> NDArray[np.int64]:
        """Events in each window."""
        return self.after - self.first

    def rows(self, longest: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Event rows (N, longest) and which of them are real; the others repeat row 0."""
        places = np.arange(longest)
        real = places < self.length[:, None]
        return np.where(real, self.first[:, None] + places, 0), real


def cut(stretches: Iterable[tuple[int, int]], config: WindowConfig) -> Windows:
    """Windows of `length` events every `stride` events, within each stretch.

    The rest at the end of a stretch becomes a shorter window when it has `min_events` and holds
    events that no full window does.
    """
    parts = [_fixed_length(first, after, config) for first, after in stretches]
    if not parts:
        return Windows(np.empty(0, np.int64), np.empty(0, np.int64))
    return Windows(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.after for part in parts]),
    )


def _fixed_length(first: int, after: int, config: WindowConfig) -> Windows:
    starts = np.arange(first, after, config.stride, dtype=np.int64)
    ends = np.minimum(starts + config.length, after)
    covered = np.concatenate([[first], ends[:-1]]) if len(starts) else ends
    keep = (ends - starts >= config.min_events) & (ends > covered)
    return Windows(starts[keep], ends[keep])


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
