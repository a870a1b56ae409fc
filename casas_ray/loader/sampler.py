"""Which windows make which batch: a function of (seed, epoch, step), for any number of workers.

Windows are dealt once, in a seeded shuffle and by length, to as many lanes as a batch has pairs.
Each step takes one window from every lane. A worker owns whole lanes, so it needs its own shard
only, and the batch of a step is the same whoever holds its lanes. (Two windows of one lane never
meet in a batch.)

Each epoch puts every lane in the order of its windows' lengths, disturbed at random, and then takes
the steps in a random order that all lanes share. So the windows of a batch are about equally long
and little is spent on padding, no batch comes twice, and long batches come at any time. Windows of
one length are shuffled freely.
"""

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
    """The order of one epoch: step s takes window `place[s, lane]` of each lane."""

    place: NDArray[np.int64]
    longest: NDArray[np.int64]
    """Events of the longest window of each step, over all lanes."""


@dataclass(frozen=True)
class LengthBucketSampler:
    """N windows with these numbers of events, dealt to `batch_size` lanes."""

    length: NDArray[np.int16]
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
        """N."""
        return len(self.length)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the windows left over differ from epoch to epoch."""
        return self.windows // self.batch_size

    @cached_property
    def _dealt(self) -> NDArray[np.int64]:
        """Windows (rows of the training table), one column a lane; -1 where a lane has one less."""
        shuffled = np.random.default_rng([self.seed, 0]).permutation(self.windows)
        by_length = shuffled[np.argsort(self.length[shuffled], kind="stable")]
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
                hint=f"take a multiple of {world_size}, or other machine.workers.",
            )
        share = self.batch_size // world_size
        return range(rank * share, (rank + 1) * share)

    def shard_rows(self, rank: int, world_size: int) -> NDArray[np.int64]:
        """The rows of the training table that make a worker's shard, lane by lane."""
        own = self._dealt[:, list(self.of_worker(rank, world_size))].T.reshape(-1)
        return own[own >= 0]

    def epoch(self, number: int) -> Epoch:
        """The order of an epoch."""
        rng = np.random.default_rng([self.seed, 1, number])
        real = self._dealt >= 0
        length = np.where(real, self.length[self._dealt].astype(np.float64), np.inf)
        # The windows left over must not always be the longest: lanes that have one more than an
        # epoch has steps leave out any one of theirs.
        if real.all(axis=1).sum() < len(real):
            left_out = rng.integers(len(real), size=self.batch_size)
            full = np.flatnonzero(real[-1])
            length[left_out[full], full] = np.inf
        key = length * (1.0 + _DISTURBANCE * rng.random(length.shape))
        place = np.argsort(key, axis=0, kind="stable")[: self.steps_per_epoch]
        place = place[rng.permutation(self.steps_per_epoch)]
        rows = np.take_along_axis(self._dealt, place, axis=0)
        return Epoch(place, self.length[rows].max(axis=1).astype(np.int64))

    def steps(
        self, rank: int, world_size: int, *, start: int
    ) -> Iterator[tuple[int, NDArray[np.int64], int]]:
        """(step, shard rows, events of the batch's longest window) from a step on, without end."""
        own = list(self.of_worker(rank, world_size))
        sizes = (self._dealt[:, own] >= 0).sum(axis=0)
        offsets = np.cumsum(sizes) - sizes
        step = start
        while True:
            number, done = divmod(step, self.steps_per_epoch)
            epoch = self.epoch(number)
            for place in range(done, self.steps_per_epoch):
                yield step, offsets + epoch.place[place, own], int(epoch.longest[place])
                step += 1

    def tokens(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each window of an epoch its tokens (events and CLS), and those of the longest window
        of its batch."""
        order = self.epoch(epoch)
        rows = np.take_along_axis(self._dealt, order.place, axis=0)
        own = self.length[rows].astype(np.int64) + 1
        return own, np.broadcast_to(order.longest[:, None] + 1, own.shape)

    def padding(self, epoch: int) -> float:
        """Share of an epoch's places in batches that hold no event."""
        own, spread = self.tokens(epoch)
        return 1.0 - float((own - 1).sum()) / float((spread - 1).sum())
