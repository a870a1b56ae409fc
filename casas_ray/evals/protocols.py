"""How days are dealt to fitting and judging: once, in turns, at random, or not at all."""

from typing import Literal

import numpy as np

from casas_ray.errors import DataError
from casas_ray.evals.features.fold import JUDGED, OUTSIDE, TRAIN, Fold, fold_of
from casas_ray.evals.features.seen import Ints, SeenWindows

Protocol = Literal["day", "random-days", "rolling", "random-windows"]
"""`day`: the set's own split. `rolling`: four blocks of days in time order, each judged once by a
fit on all others. `random-days`: the same with days dealt at random, which is easier, for
neighbouring days are alike. `random-windows`: LEAKS, for windows share events with their
neighbours; only to show how much."""

LEAKS = "windows at random: LEAKS"
_FOLDS = 4


def folds(windows: SeenWindows, protocol: Protocol) -> list[Fold]:
    """The folds of a protocol over the windows' splits, of which the last is judged in `day`.

    Raises:
        DataError: there are too few days, or windows, for it.
    """
    if protocol == "day":
        last = len(windows.names) - 1
        side_E = np.select(
            [windows.split_E == 0, windows.split_E == last], [TRAIN, JUDGED], OUTSIDE
        )
        made = [fold_of(windows, side_E, windows.names[last])]
    elif protocol == "random-windows":
        made = _windows_at_random(windows)
    else:
        made = _in_turns(windows, at_random=protocol == "random-days")
    for fold in made:
        if not len(fold.train) or not len(fold.judged):
            raise DataError(
                f"protocol {protocol}, fold {fold.name}: {len(fold.train)} windows to fit on and "
                f"{len(fold.judged)} to judge.",
                hint="bring a log of more days, or judge by --protocol day.",
            )
    return made


def caveats_of(protocol: Protocol) -> tuple[str, ...]:
    """What numbers of this protocol must be seen with."""
    if protocol == "random-windows":
        return (LEAKS,)
    return ("random days",) if protocol == "random-days" else ()


def _in_turns(windows: SeenWindows, *, at_random: bool) -> list[Fold]:
    block_E = np.full(len(windows.day_E), OUTSIDE)
    inside_E = windows.split_E >= 0
    for home in np.unique(windows.home_E[inside_E]).tolist():
        of_home_E = inside_E & (windows.home_E == home)
        days = np.unique(windows.day_E[of_home_E])
        if at_random:
            days = np.random.default_rng(0).permutation(days)
        for block, part in enumerate(np.array_split(days, _FOLDS)):
            block_E[of_home_E & np.isin(windows.day_E, part)] = block
    names = [f"{block + 1} of {_FOLDS}" for block in range(_FOLDS)]
    return [fold_of(windows, _sides(block_E, block), name) for block, name in enumerate(names)]


def _sides(block_E: Ints, block: int) -> Ints:
    return np.select([block_E == block, block_E == OUTSIDE], [JUDGED, OUTSIDE], TRAIN)


def _windows_at_random(windows: SeenWindows) -> list[Fold]:
    """Each window may read all days, and a quarter of the windows is judged at a time."""
    whole = fold_of(windows, np.where(windows.split_E >= 0, TRAIN, OUTSIDE), "")
    dealt = np.random.default_rng(0).permutation(whole.train)
    quarters = [np.sort(part) for part in np.array_split(dealt, _FOLDS)]
    return [
        Fold(
            f"{index + 1} of {_FOLDS}",
            np.setdiff1d(whole.train, judged),
            judged,
            whole.reach_first_N,
            whole.reach_after_N,
        )
        for index, judged in enumerate(quarters)
    ]
