"""Batches made in advance: the same ones, errors too, and no thread that outlives its taker."""

import itertools
import threading
from collections.abc import Iterator

import pytest
import torch
from support.waiting import LONG, wait_until

from casas_ray.errors import DataError
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader, prefetched

MAKER = "batches"


def test_batches_made_in_advance_are_those_made_on_demand(small_loader: Loader):
    pairs = zip(
        small_loader.batches(start=3), prefetched(small_loader.batches(start=3)), strict=False
    )
    for wanted, made in itertools.islice(pairs, 40):
        assert torch.equal(wanted.ids_BLF, made.ids_BLF)
        assert torch.equal(wanted.masked_BL, made.masked_BL)
        assert wanted.dropout == made.dropout


class Counted:
    """Batches that count themselves, and know the thread that makes them."""

    def __init__(self, loader: Loader) -> None:
        self.made = 0
        self.makers: set[threading.Thread] = set()
        self._batches = loader.batches(start=0)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self.makers.add(threading.current_thread())
        self.made += 1
        return next(self._batches)


def test_no_more_are_made_than_asked_for_and_the_thread_ends_with_its_taker(small_loader: Loader):
    counted = Counted(small_loader)
    batches = prefetched(counted, most=2)
    for taken in range(1, 12):
        next(batches)
        most = taken + 2 + 1  # taken, waiting, and one in the maker's hand
        wait_until(lambda most=most: counted.made >= most)
        assert counted.made == most
    (maker,) = counted.makers
    assert maker.name == MAKER
    del batches
    maker.join(timeout=LONG)
    assert not maker.is_alive()
    assert counted.made == most


def test_an_error_in_the_thread_reaches_who_takes_the_batches(small_loader: Loader):
    def failing() -> Iterator[Batch]:
        yield next(small_loader.batches(start=0))
        raise DataError("the shard is gone")

    batches = prefetched(failing())
    next(batches)
    with pytest.raises(DataError, match="the shard is gone"):
        next(batches)
