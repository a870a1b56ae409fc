"""Which days train, which choose and which judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import SplitConfig
from casas_ray.corpus.events import Events
from casas_ray.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Days:
    """Days since 1970-01-01 that belong to each split."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    def of(self, split: str) -> tuple[int, ...]:
        """The days of one split."""
        return getattr(self, split)


def split_days(events: Events, config: SplitConfig, home: str) -> Days:
    """The days with events of one home, each in one split.

    Raises:
        DataError: too few days, so that some split would have none.
    """
    days = np.unique(events.day)
    if config.kind == "leave_home_out":
        return _home_left_out(days.tolist(), config, home)
    if config.kind == "random_days":
        # A generator of its own seed: the recipe's seed must not move days between splits.
        days = np.random.default_rng(config.seed).permutation(days)
    tests, vals = _share(config.test_share, len(days)), _share(config.val_share, len(days))
    trains = _left_to_train(home, len(days), vals, tests)
    cuts = np.split(days, [trains, trains + vals])
    return Days(*(tuple(np.sort(part).tolist()) for part in cuts))


def _home_left_out(days: list[int], config: SplitConfig, home: str) -> Days:
    if home == config.held_out:
        return Days((), (), tuple(days))
    vals = _share(config.val_share, len(days))
    trains = _left_to_train(home, len(days), vals, 0)
    return Days(tuple(days[:trains]), tuple(days[trains:]), ())


def _share(share: float, days: int) -> int:
    return max(1, round(share * days))


def _left_to_train(home: str, days: int, vals: int, tests: int) -> int:
    least = 1 + min(1, vals) + min(1, tests)
    if days < least:
        raise DataError(
            f"the log of {home} has {days} day(s) with events; each split needs one, {least} in "
            "all.",
            hint=f"bring a log of at least {least} days.",
        )
    if days - vals - tests < 1:
        raise DataError(
            f"{days} days of {home} give {vals} to val and {tests} to test: none is left to train "
            "on.",
            hint="lower data.split.val_share or data.split.test_share.",
        )
    return days - vals - tests


def stretches(events: Events, days: tuple[int, ...]) -> list[tuple[int, int]]:
    """Event ranges [first, after) in which only these days stand, in time order.

    A window cut within one stretch can cross midnight, but never into another split.
    """
    return _runs(np.isin(events.day, days))


def _runs(inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
