"""A worker's batches, step after step."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.loader.batch import Batch
from casas_ray.loader.sampler import LengthBucketSampler
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.streams import RandomStreams
from casas_ray.loader.window_store import WindowStore


@dataclass(frozen=True)
class Loader:
    """All that one worker trains on and is validated with."""

    train: WindowStore
    """This worker's training windows, lane by lane."""

    val: WindowStore
    """This worker's share of the validation windows, in order."""

    facts: SetFacts
    sampler: LengthBucketSampler
    vectors: Tensor
    """N x T: the vectors of captions and descriptions, on the device that trains."""

    recipe: Recipe
    rank: int = 0
    world_size: int = 1

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.vectors.device

    @property
    def val_first(self) -> int:
        """The index of this worker's first validation window among all."""
        return self.facts.val_range(self.rank, self.world_size).start

    def batches(self, *, start: int) -> Iterator[Batch]:
        """The batches of step `start`, `start` + 1, ... without end; a GPU's are made while it
        works."""
        made = self._made(start)
        return prefetched(made) if self.vectors.is_cuda else made

    def _made(self, start: int) -> Iterator[Batch]:
        own = self.sampler.of_worker(self.rank, self.world_size)
        total_steps = self.sampler.steps_per_epoch * self.recipe.optim.epochs
        for step, rows, longest in self.sampler.steps(self.rank, self.world_size, start=start):
            streams = RandomStreams(self.recipe.seed, step, own.start, len(own))
            yield self.train.training_batch(
                rows,
                self.vectors,
                self.recipe.masking,
                streams,
                longest=longest,
                progress=min(1.0, step / total_steps),
            )


def prefetched(made: Iterator[Batch], *, most: int = 2) -> Iterator[Batch]:
    """The same batches, `most` of them made in advance by a thread; it ends with who takes
    them."""
    ready: queue.Queue[Batch | Exception] = queue.Queue(most)
    stopped = threading.Event()

    def make() -> None:
        try:
            for batch in made:
                if not _put(ready, batch, stopped):
                    return
        except Exception as error:
            _put(ready, error, stopped)

    threading.Thread(target=make, name="batches", daemon=True).start()
    try:
        while True:
            found = ready.get()
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        stopped.set()


def _put(
    ready: queue.Queue[Batch | Exception], found: Batch | Exception, stopped: threading.Event
) -> bool:
    """Whether it was taken in before the taker stopped."""
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(found, timeout=0.1)
            return True
    return False
