"""Batches made in advance: the same ones, errors too, and no thread that outlives its taker."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from casas_ray.errors import DataError
from casas_ray.model.batch import Batch
from casas_ray.model.feed import Shards, ahead


def makers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


def test_batches_made_in_advance_are_those_made_on_demand(small_shards: Shards):
    feed = small_shards.train
    pairs = zip(feed.batches(start=3), ahead(feed.batches(start=3)), strict=False)
    for wanted, found in itertools.islice(pairs, 40):
        assert torch.equal(wanted.ids_BLF, found.ids_BLF)
        assert torch.equal(wanted.masked_BL, found.masked_BL)
        assert wanted.dropout == found.dropout


def test_no_more_are_made_than_asked_for_and_the_thread_ends_with_its_taker(small_shards: Shards):
    made = itertools.count()

    def counted() -> Iterator[Batch]:
        for batch in small_shards.train.batches(start=0):
            next(made)
            yield batch

    batches = ahead(counted(), most=2)
    for _ in range(5):
        next(batches)
    assert len(makers()) == 1
    time.sleep(0.3)
    assert next(made) <= 5 + 2 + 1  # taken, waiting, and one in the thread's hand
    del batches
    for thread in makers():
        thread.join(timeout=5.0)
    assert makers() == []


def test_an_error_in_the_thread_reaches_who_takes_the_batches(small_shards: Shards):
    def failing() -> Iterator[Batch]:
        yield next(small_shards.train.batches(start=0))
        raise DataError("the shard is gone")

    batches = ahead(failing())
    next(batches)
    with pytest.raises(DataError, match="the shard is gone"):
        next(batches)
