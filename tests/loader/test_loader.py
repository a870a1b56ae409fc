"""Batches made in advance: the same ones, errors too, and no thread that outlives its taker."""

import dataclasses
import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.waiting import LONG, wait_until

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader, prefetched
from casas_ray.loader.streams import RandomStreams
from casas_ray.loader.window_store import WindowStore

MAKER = "batches"


def test_batches_made_in_advance_are_those_made_on_demand(small_loader: Loader):
    pairs = zip(
        small_loader.batches(start=3), prefetched(small_loader.batches(start=3)), strict=False
    )
    for wanted, made in itertools.islice(pairs, 40):
        assert torch.equal(wanted.ids_BLF, made.ids_BLF)
        assert torch.equal(wanted.masked_BL, made.masked_BL)
        assert wanted.dropout == made.dropout


def of_worker(whole: Loader, prepared: PreparedSet, rank: int, workers: int) -> Loader:
    """The loader of one of several workers, with its own windows only."""
    rows = pa.array(whole.sampler.shard_rows(rank, workers))
    train = WindowStore.of(prepared.windows("train").take(rows))
    return dataclasses.replace(whole, train=train, rank=rank, world_size=workers)


def test_two_workers_draw_the_captions_masks_and_dropout_of_one(
    small_loader: Loader, small_set: PreparedSet
):
    (whole,) = itertools.islice(small_loader.batches(start=5), 1)
    parts = [next(of_worker(small_loader, small_set, rank, 2).batches(start=5)) for rank in (0, 1)]
    for name in ("ids_BLF", "masked_BL", "caption_B", "span_B2"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert [part.dropout for part in parts] == [
        whole.dropout.part(0, 16),
        whole.dropout.part(16, 32),
    ]


def test_validation_windows_are_dealt_in_runs_that_differ_by_one(small_loader: Loader):
    facts = dataclasses.replace(small_loader.facts, val_windows=10)
    found = [facts.val_range(rank, 4) for rank in range(4)]
    assert found == [range(3), range(3, 6), range(6, 8), range(8, 10)]


def test_a_window_comes_with_each_of_its_captions_and_tells_its_events(
    small_loader: Loader, small_set: PreparedSet
):
    store, row = small_loader.train, small_loader.sampler.shard_rows(0, 1)[3]
    window = small_set.windows("train").slice(int(row), 1).to_pylist()[0]
    seen: set[int] = set()
    for step in range(20):
        batch = store.training_batch(
            np.array([3]),
            small_loader.vectors_NT,
            small_loader.recipe.masking,
            RandomStreams(0, step, 0, 1),
            longest=20,
        )
        seen |= set(batch.caption_B.tolist())
    assert len(window["captions"]) == 2
    assert seen == set(window["captions"])
    first = window["first_event"]
    assert batch.span_B2.tolist() == [[first, first + window["length"]]]


def test_the_first_event_of_a_window_is_no_change_of_room(small_loader: Loader):
    store = small_loader.val
    records = store.records(np.arange(20), 20)
    records["ids"][..., store.fields.index("room")] = 7
    records["ids"][0, 4:6, store.fields.index("room")] = 8
    found = store._room_changes(records)
    assert np.argwhere(found).tolist() == [[0, 4], [0, 6]]


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
