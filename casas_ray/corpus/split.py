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


def split_days(events: Events, config: SplitConfig) -> Days:
    """The days with events, the earliest to train and the latest to test.

    Raises:
        DataError: fewer than three days, so that some split would have none.
    """
    days = np.unique(events.day).tolist()
    if len(days) < 3:
        raise DataError(
            f"the log has {len(days)} day(s) with events; train, val and test need one each.",
            hint="bring a log of at least three days.",
        )
    tests = max(1, round(config.test_share * len(days)))
    vals = max(1, round(config.val_share * len(days)))
    trains = len(days) - vals - tests
    if trains < 1:
        raise DataError(
            f"{len(days)} days give {vals} to val and {tests} to test: none is left to train on.",
            hint="lower data.split.val_share or data.split.test_share.",
        )
    return Days(tuple(days[:trains]), tuple(days[trains : trains + vals]), tuple(days[-tests:]))


def stretches(events: Events, days: tuple[int, ...]) -> list[tuple[int, int]]:
    """Event ranges [first, after) in which only these days stand, in time order.

    A window cut within one stretch can cross midnight, but never into another split.
    """
    inside = np.isin(events.day, days)
    return _runs(inside)


def _runs(inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
