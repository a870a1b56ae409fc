"""The order of batches is a function of seed, epoch and step, for any number of workers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.corpus.order import Lanes
from casas_ray.errors import DataError, SettingsError


def batch_of(lanes: Lanes, workers: int, epoch: int, step: int) -> list[int]:
    """The windows of one global batch, put together from all workers' shards."""
    windows: list[int] = []
    for rank in range(workers):
        shard = lanes.shard_rows(rank, workers)
        windows += shard[lanes.batches(rank, workers, epoch=epoch)[step]].tolist()
    return windows


@given(st.integers(8, 200), st.integers(0, 3), st.integers(0, 3))
def test_every_number_of_workers_sees_the_same_batches_in_the_same_order(
    windows: int, seed: int, epoch: int
):
    lanes = Lanes(windows, batch_size=8, seed=seed)
    for step in range(lanes.steps_per_epoch):
        alone = batch_of(lanes, 1, epoch, step)
        assert batch_of(lanes, 2, epoch, step) == alone
        assert batch_of(lanes, 4, epoch, step) == alone


@given(st.integers(8, 200), st.integers(0, 3))
def test_an_epoch_shows_each_window_at_most_once_and_misses_less_than_a_batch(
    windows: int, epoch: int
):
    lanes = Lanes(windows, batch_size=8, seed=0)
    seen = [row for step in range(lanes.steps_per_epoch) for row in batch_of(lanes, 1, epoch, step)]
    assert len(set(seen)) == len(seen) == windows - windows % 8


def test_shards_are_disjoint_and_together_everything():
    lanes = Lanes(101, batch_size=8, seed=5)
    rows = np.concatenate([lanes.shard_rows(rank, 4) for rank in range(4)])
    assert sorted(rows.tolist()) == list(range(101))


def test_epochs_and_seeds_shuffle_anew():
    lanes = Lanes(400, batch_size=8, seed=0)
    first = batch_of(lanes, 1, 0, 0)
    assert batch_of(lanes, 1, 1, 0) != first
    assert batch_of(Lanes(400, batch_size=8, seed=1), 1, 0, 0) != first


def test_a_run_taken_up_at_a_step_goes_on_with_that_steps_batch():
    lanes = Lanes(50, batch_size=8, seed=0)
    whole = list(itertools.islice(lanes.steps(0, 1, start=0), 15))
    later = list(itertools.islice(lanes.steps(0, 1, start=7), 8))
    assert [step for step, _ in later] == list(range(7, 15))
    assert [rows.tolist() for _, rows in later] == [rows.tolist() for _, rows in whole[7:]]


def test_fewer_windows_than_a_batch_and_a_batch_that_does_not_divide_are_refused():
    with pytest.raises(DataError, match="7 training windows are fewer than one batch of 8"):
        Lanes(7, batch_size=8, seed=0)
    with pytest.raises(SettingsError, match="batch_size 8 does not divide among 3 workers"):
        Lanes(80, batch_size=8, seed=0).of_worker(0, 3)
