"""The order of batches is a function of seed, epoch and step, for any number of workers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.errors import DataError, SettingsError
from casas_ray.loader.sampler import LengthBucketSampler


def lanes_of(
    windows: int, seed: int = 0, *, batch_size: int = 8, spread: int = 0
) -> LengthBucketSampler:
    """LengthBucketSampler of windows of 20 events, or of 3 to 3 + `spread`."""
    rng = np.random.default_rng(windows)
    length = 3 + rng.integers(spread, size=windows) if spread else np.full(windows, 20)
    return LengthBucketSampler(length.astype(np.int16), batch_size=batch_size, seed=seed)


def batch_of(lanes: LengthBucketSampler, workers: int, epoch: int, step: int) -> list[int]:
    """The windows of one global batch, put together from all workers' shards."""
    windows: list[int] = []
    for rank in range(workers):
        shard = lanes.shard_rows(rank, workers)
        found, rows, longest = next(
            lanes.steps(rank, workers, start=epoch * lanes.steps_per_epoch + step)
        )
        assert found == epoch * lanes.steps_per_epoch + step
        assert (lanes.length_N[shard[rows]] <= longest).all()
        windows += shard[rows].tolist()
    return windows


@given(st.integers(8, 200), st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 40]))
def test_every_number_of_workers_sees_the_same_batches_in_the_same_order(
    windows: int, seed: int, epoch: int, spread: int
):
    lanes = lanes_of(windows, seed, spread=spread)
    for step in range(lanes.steps_per_epoch):
        alone = batch_of(lanes, 1, epoch, step)
        assert batch_of(lanes, 2, epoch, step) == alone
        assert batch_of(lanes, 4, epoch, step) == alone


@given(st.integers(8, 200), st.integers(0, 3), st.sampled_from([0, 40]))
def test_an_epoch_shows_each_window_at_most_once_and_misses_less_than_a_batch(
    windows: int, epoch: int, spread: int
):
    lanes = lanes_of(windows, spread=spread)
    seen = [row for step in range(lanes.steps_per_epoch) for row in batch_of(lanes, 1, epoch, step)]
    assert len(set(seen)) == len(seen) == windows - windows % 8


def test_shards_are_disjoint_and_together_everything():
    lanes = lanes_of(101, 5, spread=9)
    rows = np.concatenate([lanes.shard_rows(rank, 4) for rank in range(4)])
    assert sorted(rows.tolist()) == list(range(101))


def test_epochs_and_seeds_shuffle_anew():
    lanes = lanes_of(400)
    first = batch_of(lanes, 1, 0, 0)
    assert batch_of(lanes, 1, 1, 0) != first
    assert batch_of(lanes_of(400, 1), 1, 0, 0) != first


def test_another_seed_deals_other_windows_to_a_worker():
    one, other = (lanes_of(400, seed).shard_rows(0, 2).tolist() for seed in (0, 1))
    assert sorted(one) != sorted(other)


def test_a_run_taken_up_at_a_step_goes_on_with_that_steps_batch():
    lanes = lanes_of(50)
    whole = list(itertools.islice(lanes.steps(0, 1, start=0), 15))
    later = list(itertools.islice(lanes.steps(0, 1, start=7), 8))
    assert [step for step, _, _ in later] == list(range(7, 15))
    assert [rows.tolist() for _, rows, _ in later] == [rows.tolist() for _, rows, _ in whole[7:]]


def test_fewer_windows_than_a_batch_and_a_batch_that_does_not_divide_are_refused():
    with pytest.raises(DataError, match="7 training windows are fewer than one batch of 8"):
        lanes_of(7)
    with pytest.raises(SettingsError, match="batch_size 8 does not divide among 3 workers"):
        lanes_of(80).of_worker(0, 3)


def test_windows_of_like_length_meet_so_that_little_is_padding():
    length = np.clip(np.exp(np.random.default_rng(0).normal(2.3, 0.8, 20_000)), 3, 200)
    lanes = LengthBucketSampler(length.astype(np.int16), batch_size=64, seed=0)
    assert lanes.padding(0) < 0.06
    rows = np.random.default_rng(1).permutation(20_000)[: 312 * 64].reshape(-1, 64)
    assert 1 - length[rows].sum() / (length[rows].max(axis=1) * 64).sum() > 0.6


def test_long_and_short_batches_come_mixed_and_the_longest_windows_are_not_always_left_out():
    lanes = lanes_of(8 * 50 + 4, spread=100)
    epochs = [lanes.epoch(number) for number in range(20)]
    assert abs(np.corrcoef(np.arange(50), epochs[0].longest_S)[0, 1]) < 0.5
    last = {epoch.longest_S.max() for epoch in epochs}
    assert lanes.length_N.max() in last
    assert {tuple(epoch.index_SB[0]) for epoch in epochs} != {tuple(epochs[0].index_SB[0])}
