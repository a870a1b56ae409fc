"""Days times the time of day: which cluster, and which activity, each five minutes belong to."""

# D days (rows), C cells of a day, E events in windows, N windows

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.events import US_PER_DAY, US_PER_SECOND, date_text
from casas_ray.evals.assignments import nearest_windows
from casas_ray.evals.features.seen import Ints, SeenWindows
from casas_ray.report.map_page import Days, Picture
from casas_ray.report.png import CLEAR, as_address, png

CELLS = 288
_HIGH = 12.0
"""Pixels of a row, where days are few."""

_MOST_HIGH = 700.0
_DATE_HIGH = 16.0
NOTHING = -1
_CELL_US = US_PER_DAY // CELLS
_HELD_US = 30 * 60 * US_PER_SECOND
"""So long a silence between two events of one group still belongs to it."""


@dataclass(frozen=True)
class Timeline:
    """Rows of days, and for each cell the index of the window that its last event goes with."""

    days: Sequence[str]
    """`2011-06-15`, with the home before it where there are several."""

    window_DC: Ints
    """-1 where nothing happened."""

    def of(self, value_N: Ints) -> Ints:
        """For each cell the value of its window, D x C; -1 where nothing happened."""
        held_N = np.append(value_N, NOTHING)
        return held_N[self.window_DC]


def timeline(windows: SeenWindows, group_N: Ints) -> Timeline:
    """The days of windows; between two events of one group a short silence belongs to it."""
    event_E, window_E = nearest_windows(windows)
    order = np.lexsort((windows.time_us_E[event_E], windows.day_E[event_E]))
    event_E, window_E = event_E[order], window_E[order]
    day_E, time_E = windows.day_E[event_E], windows.time_us_E[event_E]
    known = np.unique(day_E)
    row_E = np.searchsorted(known, day_E)
    cell_E = time_E % US_PER_DAY // _CELL_US
    window_DC = np.full((len(known), CELLS), NOTHING, dtype=np.int64)
    window_DC[row_E, cell_E] = window_E
    _hold(window_DC, row_E, cell_E, time_E, window_E, group_N)
    return Timeline(_names(windows, event_E, window_E, row_E), window_DC)


def _hold(
    window_DC: Ints, row_E: Ints, cell_E: Ints, time_E: Ints, window_E: Ints, group_N: Ints
) -> None:
    """Fill the cells between two events of one group that are not far apart."""
    held: NDArray[np.bool_] = (
        (np.diff(row_E) == 0)
        & (np.diff(cell_E) > 1)
        & (np.diff(time_E) <= _HELD_US)
        & (group_N[window_E[:-1]] == group_N[window_E[1:]])
    )
    for index in np.flatnonzero(held).tolist():
        window_DC[row_E[index], cell_E[index] + 1 : cell_E[index + 1]] = window_E[index]


def _names(windows: SeenWindows, event_E: Ints, window_E: Ints, row_E: Ints) -> list[str]:
    """Each row's day, of several homes with the home's name."""
    _, first = np.unique(row_E, return_index=True)
    homes = windows.table.column("home").take(window_E[first]).to_pylist()
    times = windows.time_us_E[event_E[first]].tolist()
    several = len(set(homes)) > 1
    return [
        f"{home} {date_text(time // US_PER_DAY)}" if several else date_text(time // US_PER_DAY)
        for home, time in zip(homes, times, strict=True)
    ]


def picture(
    title: str,
    days: Timeline,
    number_N: Ints,
    colours: Sequence[str],
    legend: Sequence[tuple[str, str]],
) -> Picture:
    """The days where each cell has the colour of its window's number."""
    number_DC = days.of(number_N)
    shown = np.where(number_DC == NOTHING, CLEAR, number_DC % CLEAR).astype(np.uint8)
    return Picture(title, as_address(png(shown, colours)), legend)


def rows_of(days: Timeline, pictures: Sequence[Picture]) -> Days:
    """The pictures with dates beside as many rows as there is room for."""
    high = min(_HIGH, max(3.0, _MOST_HIGH / len(days.days)))
    every = math.ceil(_DATE_HIGH / high)
    marks = [((row + 0.5) * high, days.days[row]) for row in range(0, len(days.days), every)]
    return Days(pictures, len(days.days), high, marks)
