"""What is counted of windows, standardised, for losses that ask for it."""

# N windows, R events of windows, A aggregates, P columns of one kind, O neighbours

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND
from casas_ray.loader.event_records import Ints

_MOST_TRANSITIONS = 64
_HARMONICS = 4
_DAY_SECONDS = US_PER_DAY / US_PER_SECOND
_FARTHEST = 5.0
"""Standard deviations: a sensor that fires in one window of a thousand must not rule a loss."""

OFFSETS = (-4, -2, 2, 4)
"""Neighbours, in windows. The next window on either side shares events."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class WindowEvents:
    """The events of some windows, window after window."""

    window_R: Ints
    """The window of each, from 0."""

    windows: int
    sensor_R: Ints
    state_R: Ints
    gap_R: Values
    """Seconds since the event before."""

    day_seconds_R: Values

    @property
    def is_first_R(self) -> NDArray[np.bool_]:
        """Whether it is its window's first."""
        return np.diff(self.window_R, prepend=-1) != 0

    @property
    def pair_R(self) -> Ints:
        """A code of its sensor and state together."""
        return self.sensor_R << 16 | self.state_R

    @property
    def inner_gap_R(self) -> Values:
        """Seconds since the window's event before; 0 for its first."""
        return np.where(self.is_first_R, 0.0, self.gap_R)

    @property
    def dwell_R(self) -> Values:
        """Seconds to the window's next event; 0 for its last."""
        return np.append(self.inner_gap_R[1:], 0.0)

    @property
    def transition_R(self) -> Ints:
        """A code of the sensor before and this one; -1 where they are one, or before is outside."""
        before_R = np.concatenate([[0], self.sensor_R[:-1]])
        code_R = before_R << 16 | self.sensor_R
        return np.where(self.is_first_R | (before_R == self.sensor_R), -1, code_R)


@dataclass(frozen=True)
class Scale:
    """What is counted, and how it is standardised: fitted on training windows."""

    pairs: Ints
    sensors: Ints
    transitions: Ints
    mean_A: Values
    spread_A: Values

    @classmethod
    def fit(cls, pieces: Callable[[], list[WindowEvents]]) -> "Scale":
        """The scale of the training windows, which come in pieces."""
        nothing = np.zeros(0, np.int64)
        pairs = _counts(np.concatenate([nothing, *(part.pair_R for part in pieces())]))[0]
        codes = [part.transition_R for part in pieces()]
        transitions, often = _counts(np.concatenate([nothing, *codes]))
        known, often = transitions[transitions >= 0], often[transitions >= 0]
        most = np.sort(known[np.argsort(-often, kind="stable")[:_MOST_TRANSITIONS]])
        bare = cls(pairs, np.unique(pairs >> 16), most, np.zeros(1), np.ones(1))
        every_NA = np.concatenate([bare.raw(part) for part in pieces()])
        spread_A = every_NA.std(axis=0)
        # What never varies tells nothing: it stays 0.
        return dataclasses.replace(
            bare,
            mean_A=every_NA.mean(axis=0),
            spread_A=np.where(spread_A > 1e-6, spread_A, np.inf),
        )

    def raw(self, events: WindowEvents) -> Values:
        """What is counted, before it is standardised, N x A."""
        sensor = np.searchsorted(self.sensors, events.sensor_R)
        sensor = np.where(np.isin(events.sensor_R, self.sensors), sensor, len(self.sensors))
        first = np.flatnonzero(events.is_first_R)
        inner_R = events.inner_gap_R
        longest_N = np.maximum.reduceat(inner_R, first) if len(first) else inner_R
        duration_N = np.bincount(events.window_R, inner_R, minlength=events.windows)
        angle_N = 2 * np.pi * events.day_seconds_R[first] / _DAY_SECONDS
        waves = [
            wave(turns * angle_N) for turns in range(1, _HARMONICS + 1) for wave in (np.sin, np.cos)
        ]
        numbers = [np.log1p(each) for each in (duration_N, longest_N, events.gap_R[first])]
        return np.concatenate(
            [
                np.log1p(_by_code(events, events.pair_R, self.pairs)),
                np.stack([*numbers, *waves], axis=1),
                np.log1p(_by_column(events, sensor, len(self.sensors), events.dwell_R)),
                _by_code(events, events.transition_R, self.transitions),
            ],
            axis=1,
        )

    def standardised(self, events: WindowEvents) -> NDArray[np.float32]:
        """What is counted of windows, N x A: of training windows with mean 0 and spread 1."""
        value_NA = (self.raw(events) - self.mean_A) / self.spread_A
        return value_NA.clip(-_FARTHEST, _FARTHEST).astype(np.float32)


@dataclass(frozen=True)
class Counted:
    """What is counted of all windows of a split, for those that a store holds."""

    every: NDArray[np.float32]
    """A row a window of the split."""

    row_N: Ints
    neighbour_NO: Ints
    """Rows too; the number of rows where there is no such neighbour."""

    @classmethod
    def of(cls, table: pa.Table, pieces: list[WindowEvents], scale: Scale) -> "Counted":
        """The counts of a split's windows, all of them."""
        values = [scale.standardised(part) for part in pieces]
        nobody = np.full((1, len(scale.mean_A)), np.nan, np.float32)
        homes = table.column("home").combine_chunks().dictionary_encode().indices
        day_N = table.column("start_us").to_numpy() // US_PER_DAY
        home_N = homes.to_numpy(zero_copy_only=False)
        return cls(np.concatenate([*values, nobody]), np.arange(len(table)), _near(day_N, home_N))

    def taken(self, rows: Ints) -> "Counted":
        """Those of the windows at these rows."""
        return Counted(self.every, self.row_N[rows], self.neighbour_NO[rows])

    def of_windows(self, rows_B: Ints) -> NDArray[np.float32]:
        """What is counted of the windows at these rows, B x A."""
        return self.every[self.row_N[rows_B]]

    def of_neighbours(self, rows_B: Ints) -> NDArray[np.float32]:
        """The same of their neighbours, B x O x A; NaN where there is none."""
        return self.every[self.neighbour_NO[rows_B]]


def _near(day_N: Ints, home_N: Ints) -> Ints:
    windows = len(day_N)
    index_NO = np.arange(windows)[:, None] + np.array(OFFSETS)
    inside_NO = (index_NO >= 0) & (index_NO < windows)
    there_NO = index_NO.clip(0, max(windows - 1, 0))
    same_NO = (day_N[there_NO] == day_N[:, None]) & (home_N[there_NO] == home_N[:, None])
    return np.where(inside_NO & same_NO, index_NO, windows)


def _counts(codes: Ints) -> tuple[Ints, Ints]:
    return np.unique(codes, return_counts=True)


def _by_code(events: WindowEvents, code_R: Ints, known: Ints) -> Values:
    """How often each code stands in each window, N x P."""
    column_R = np.searchsorted(known, code_R)
    column_R = np.where(np.isin(code_R, known), column_R, len(known))
    return _by_column(events, column_R, len(known), None)


def _by_column(
    events: WindowEvents, column_R: Ints, columns: int, weight_R: Values | None
) -> Values:
    # One column more, for what training never saw, which is cut off.
    cells = events.window_R * (columns + 1) + column_R
    sums = np.bincount(cells, weight_R, minlength=events.windows * (columns + 1))
    return sums.reshape(events.windows, columns + 1)[:, :columns].astype(np.float64)
