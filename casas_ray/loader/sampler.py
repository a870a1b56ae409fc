"""Which windows make which batch: a function of (seed, epoch, step), for any number of workers.

Windows are dealt once, in a seeded shuffle and by length, to as many lanes as a batch has pairs: a
lane is the windows that one row of the batch takes in turn. Each step takes one window from every
lane. A worker owns whole lanes, so it needs its own shard only, and the batch of a step is the same
whoever holds its lanes. (Two windows of one lane never meet in a batch.)

Each epoch puts every lane in the order of its windows' lengths, disturbed at random, and then takes
the steps in a random order that all lanes share. So the windows of a batch are about equally long
and little is spent on padding, no batch comes twice, and long batches come at any time. Windows of
one length are shuffled freely.
"""

# N training windows, B lanes (the global batch size), W lanes of one worker, S steps of an epoch, R
# windows of the longest lane

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from casas_ray.errors import DataError, SettingsError

_DISTURBANCE = 0.05
"""Spread of the random factor on a length before lanes are put in order."""


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch: step s takes window `index_SB[s, lane]` of each lane."""

    index_SB: NDArray[np.int64]
    longest_S: NDArray[np.int64]
    """Events of the longest window of each step, over all lanes."""


@dataclass(frozen=True)
class LengthBucketSampler:
    """N windows with these numbers of events, dealt to `batch_size` lanes."""

    length_N: NDArray[np.integer]
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.windows < self.batch_size:
            raise DataError(
                f"{self.windows} training windows are fewer than one batch of {self.batch_size}.",
                hint="lower optim.batch_size, or bring more days.",
            )

    @property
    def windows(self) -> int:
        """The number of training windows, N."""
        return len(self.length_N)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the windows left over differ from epoch to epoch."""
        return self.windows // self.batch_size

    @cached_property
    def _dealt_RB(self) -> NDArray[np.int64]:
        """Windows (rows of the training table), a column a lane; -1 where a lane has one less."""
        shuffled = np.random.default_rng([self.seed, 0]).permutation(self.windows)
        # Stable: the shuffle decides among windows of one length, on every kind of CPU.
        by_length = shuffled[np.argsort(self.length_N[shuffled], kind="stable")]
        missing = -self.windows % self.batch_size
        return np.concatenate([by_length, np.full(missing, -1)]).reshape(-1, self.batch_size)

    def of_worker(self, rank: int, world_size: int) -> range:
        """The lanes that a worker owns.

        Raises:
            SettingsError: the batch does not divide among the workers.
        """
        if self.batch_size % world_size:
            raise SettingsError(
                f"optim.batch_size {self.batch_size} does not divide among {world_size} workers.",
                hint=f"take a multiple of {world_size}, or other machine.workers; where they are "
                "[1,4], each number from 1 to 4 has to divide it.",
            )
        # Neighbours in order of rank: gathered, the rows stand as one worker alone has them.
        share = self.batch_size // world_size
        return range(rank * share, (rank + 1) * share)

    def shard_rows(self, rank: int, world_size: int) -> NDArray[np.int64]:
        """The rows of the training table that make a worker's shard, lane by lane."""
        # Whole lanes: dealt step by step, a worker would need other windows in every epoch.
        own = self._dealt_RB[:, list(self.of_worker(rank, world_size))].T.reshape(-1)
        return own[own >= 0]

    def epoch(self, number: int) -> Epoch:
        """The order of the epoch with this number, for the lanes of all workers."""
        # Every worker draws for all lanes: drawn for its own alone, workers would fall apart.
        rng = np.random.default_rng([self.seed, 1, number])
        real_RB = self._dealt_RB >= 0
        length_RB = np.where(real_RB, self.length_N[self._dealt_RB].astype(np.float64), np.inf)
        # The windows left over must not always be the longest: lanes that have one more than an
        # epoch has steps leave out any one of theirs.
        if real_RB.all(axis=1).sum() < len(real_RB):
            left_out_B = rng.integers(len(real_RB), size=self.batch_size)
            full = np.flatnonzero(real_RB[-1])
            length_RB[left_out_B[full], full] = np.inf
        key_RB = length_RB * (1.0 + _DISTURBANCE * rng.random(length_RB.shape))
        index_SB = np.argsort(key_RB, axis=0, kind="stable")[: self.steps_per_epoch]
        # One shuffle for all lanes: with one each, a batch would mix long windows and short ones.
        index_SB = index_SB[rng.permutation(self.steps_per_epoch)]
        rows_SB = np.take_along_axis(self._dealt_RB, index_SB, axis=0)
        return Epoch(index_SB, self.length_N[rows_SB].max(axis=1).astype(np.int64))

    def steps(
        self, rank: int, world_size: int, *, start: int
    ) -> Iterator[tuple[int, NDArray[np.int64], int]]:
        """Each step from `start` on, without end: its number, the W rows of the worker's shard, and
        the events of the longest window of the whole batch."""
        own = list(self.of_worker(rank, world_size))
        sizes_W = (self._dealt_RB[:, own] >= 0).sum(axis=0)
        offsets_W = np.cumsum(sizes_W) - sizes_W
        step = start
        while True:
            number, done = divmod(step, self.steps_per_epoch)
            epoch = self.epoch(number)
            for index in range(done, self.steps_per_epoch):
                # Over all workers: masks and dropout are drawn for so many events, whoever draws.
                longest = int(epoch.longest_S[index])
                yield step, offsets_W + epoch.index_SB[index, own], longest
                step += 1

    def tokens(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each window of an epoch its tokens (events and CLS), S x B, and those of the longest
        window of its batch, S x B."""
        order = self.epoch(epoch)
        rows_SB = np.take_along_axis(self._dealt_RB, order.index_SB, axis=0)
        own_SB = self.length_N[rows_SB].astype(np.int64) + 1
        return own_SB, np.broadcast_to(order.longest_S[:, None] + 1, own_SB.shape)

    def padding(self, epoch: int) -> float:
        """The share of padding in an epoch's batches, CLS not counted."""
        own_SB, spread_SB = self.tokens(epoch)
        return 1.0 - float((own_SB - 1).sum()) / float((spread_SB - 1).sum())
