"""A worker's batches, step after step."""

# N texts of the set, T size of a text vector

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
    """This worker's training windows, in the order of `sampler.shard_rows`."""

    val: WindowStore
    """This worker's share of the validation windows, in order."""

    facts: SetFacts
    sampler: LengthBucketSampler
    vectors_NT: Tensor
    """The text model's vectors of captions and descriptions, on the device that trains."""

    recipe: Recipe
    rank: int = 0
    world_size: int = 1

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.vectors_NT.device

    @property
    def val_first(self) -> int:
        """The index of this worker's first validation window among all."""
        return self.facts.val_range(self.rank, self.world_size).start

    def batches(self, *, start: int) -> Iterator[Batch]:
        """The batches of step `start`, `start` + 1, ... without end; a GPU's are made while it
        works."""
        batches = self._on_demand(start)
        return prefetched(batches) if self.vectors_NT.is_cuda else batches

    def _on_demand(self, start: int) -> Iterator[Batch]:
        lanes = self.sampler.of_worker(self.rank, self.world_size)
        total_steps = self.recipe.optim.steps(self.sampler.steps_per_epoch)
        for step, rows, longest in self.sampler.steps(self.rank, self.world_size, start=start):
            # A lane is a row of the global batch: its first one is the address of the draws.
            streams = RandomStreams(self.recipe.seed, step, lanes.start, len(lanes))
            yield self.train.training_batch(
                rows,
                self.vectors_NT,
                self.recipe.masking,
                streams,
                longest=longest,
                progress=min(1.0, step / total_steps),
            )


def prefetched(batches: Iterator[Batch], *, most: int = 2) -> Iterator[Batch]:
    """The same batches, `most` of them made in advance by a thread; it ends with who takes
    them."""
    ready: queue.Queue[Batch | Exception] = queue.Queue(most)
    stopped = threading.Event()

    def make() -> None:
        try:
            for batch in batches:
                if not _put(ready, batch, stopped):
                    return
        except Exception as error:
            # An error that dies with the thread would leave the training waiting for ever.
            _put(ready, error, stopped)

    threading.Thread(target=make, name="batches", daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()


def _put(
    ready: queue.Queue[Batch | Exception], item: Batch | Exception, stopped: threading.Event
) -> bool:
    """Whether it was taken in before the taker stopped."""
    # Never a put without a timeout: nobody empties the queue of a taker that has left.
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=0.1)
            return True
    return False
