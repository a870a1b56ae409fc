"""Which windows make which batch: a function of (seed, epoch, step), for any number of workers.

Windows are dealt once, in a seeded shuffle, to as many lanes as a batch has pairs. Each step takes
one window from every lane, and each epoch shuffles every lane anew. A worker owns whole lanes, so
it needs its own shard only, and the batch of a step is the same whoever holds its lanes. (Two
windows of one lane never meet in a batch.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.errors import DataError, SettingsError


@dataclass(frozen=True)
class Lanes:
    """N windows dealt to `batch_size` lanes."""

    windows: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.windows < self.batch_size:
            raise DataError(
                f"{self.windows} training windows are fewer than one batch of {self.batch_size}.",
                hint="lower optim.batch_size, or bring more days.",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the windows left over differ from epoch to epoch."""
        return self.windows // self.batch_size

    def dealt(self) -> list[NDArray[np.int64]]:
        """The windows (rows of the training table) of each lane."""
        shuffled = np.random.default_rng([self.seed, 0]).permutation(self.windows)
        return [shuffled[lane :: self.batch_size] for lane in range(self.batch_size)]

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
        dealt = self.dealt()
        return np.concatenate([dealt[lane] for lane in self.of_worker(rank, world_size)])

    def batches(self, rank: int, world_size: int, *, epoch: int) -> NDArray[np.int64]:
        """Rows of a worker's shard for each step of an epoch: steps x lanes of the worker."""
        columns, offset = [], 0
        for lane in self.of_worker(rank, world_size):
            size = len(range(lane, self.windows, self.batch_size))
            rng = np.random.default_rng([self.seed, 1, epoch, lane])
            columns.append(offset + rng.permutation(size)[: self.steps_per_epoch])
            offset += size
        return np.stack(columns, axis=1)

    def steps(
        self, rank: int, world_size: int, *, start: int
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """(step, shard rows) from the given step on, without end."""
        step = start
        while True:
            epoch, place = divmod(step, self.steps_per_epoch)
            for rows in self.batches(rank, world_size, epoch=epoch)[place:]:
                yield step, rows
                step += 1
