"""A worker's batches, step after step."""

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.order import Lanes
from casas_ray.model.batch import Batch
from casas_ray.model.draws import Draws
from casas_ray.model.shard import Shard


@dataclass(frozen=True)
class Feed:
    """A worker's training shard with the order of its windows."""

    shard: Shard
    lanes: Lanes
    vectors: Tensor
    """Caption vectors, on the device that trains."""

    recipe: Recipe
    rank: int = 0
    world_size: int = 1

    def batches(self, *, start: int) -> Iterator[Batch]:
        """The batches of step `start`, `start` + 1, ... without end; a GPU's are made while it
        works."""
        made = self._made(start)
        return ahead(made) if self.vectors.is_cuda else made

    def _made(self, start: int) -> Iterator[Batch]:
        own = self.lanes.of_worker(self.rank, self.world_size)
        for step, rows, longest in self.lanes.steps(self.rank, self.world_size, start=start):
            draws = Draws(self.recipe.seed, step, own.start, len(own))
            yield self.shard.training_batch(
                rows,
                self.vectors,
                self.recipe.masking,
                draws,
                longest=longest,
                progress=min(1.0, step / (self.lanes.steps_per_epoch * self.recipe.optim.epochs)),
            )


def ahead(made: Iterator[Batch], *, most: int = 2) -> Iterator[Batch]:
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


@dataclass(frozen=True)
class Source:
    """What a shard was cut from: the whole set's sizes, and what a checkpoint must remember of
    it."""

    train_length: NDArray[np.int16]
    """Events of every training window of the set."""

    val_windows: int
    vocabulary: Mapping[str, tuple[str, ...]]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, prepared: PreparedSet) -> "Source":
        """The source that a prepared set is."""
        vocabulary = prepared.vocabulary.values
        manifest = prepared.manifest
        about = {
            "home": manifest["home"],
            "simulated": prepared.simulated,
            "caveats": list(prepared.caveats),
            "fingerprint": prepared.fingerprint,
            "vocabulary": {field: list(values) for field, values in vocabulary.items()},
        }
        length = prepared.lengths("train")
        return cls(length, manifest["windows"]["val"], vocabulary, about)

    def lanes(self, recipe: Recipe) -> Lanes:
        """How the training windows are dealt for this recipe."""
        return Lanes(self.train_length, recipe.optim.batch_size, recipe.seed)

    def val_range(self, rank: int, world_size: int) -> range:
        """The validation windows of a worker: equal runs but for one window."""
        parts = np.array_split(np.arange(self.val_windows), world_size)
        return range(sum(len(part) for part in parts[:rank]), sum(map(len, parts[: rank + 1])))

    def sizes(self) -> dict[str, int]:
        """Ids in each field."""
        return {field: len(values) for field, values in self.vocabulary.items()}


@dataclass(frozen=True)
class Shards:
    """All that one worker trains on and is validated with."""

    train: Feed
    val: Shard
    """This worker's share of the validation windows, in order."""

    source: Source

    @classmethod
    def assemble(
        cls,
        source: Source,
        recipe: Recipe,
        *,
        train: pa.Table,
        val: pa.Table,
        vectors: Tensor,
        rank: int = 0,
        world_size: int = 1,
    ) -> "Shards":
        """From this worker's rows: `train` lane by lane, `val` its range."""
        lanes = source.lanes(recipe)
        feed = Feed(Shard.of(train), lanes, vectors, recipe, rank, world_size)
        return cls(feed, Shard.of(val), source)

    @classmethod
    def whole(
        cls,
        prepared: PreparedSet,
        recipe: Recipe,
        vectors: NDArray[np.float32],
        device: torch.device,
    ) -> "Shards":
        """Everything, for one worker alone."""
        source = Source.of(prepared)
        rows = source.lanes(recipe).shard_rows(0, 1)
        return cls.assemble(
            source,
            recipe,
            train=prepared.windows("train").take(pa.array(rows)),
            val=prepared.windows("val"),
            vectors=torch.from_numpy(vectors).to(device),
        )

    @property
    def val_first(self) -> int:
        """The place of this worker's first validation window among all."""
        return self.source.val_range(self.train.rank, self.train.world_size).start

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.train.vectors.device
