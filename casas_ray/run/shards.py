"""Ray Data deals the alignment set to the workers: a shard of whole lanes each, in a fixed
order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
import torch
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.model.feed import Shards, Source

Refs = list[Any]  # Any: ray's ObjectRef of an Arrow table


@dataclass(frozen=True)
class Supply:
    """References to everything that workers train on; it is small and can be sent anywhere."""

    source: Source
    train: Sequence[Refs]
    """For each worker its lanes in order; or one entry with the whole table, not yet dealt."""

    val: Sequence[Refs]
    vectors: Any  # ray's ObjectRef of an array
    is_dealt: bool

    @classmethod
    def shared(cls, prepared: PreparedSet, vectors: NDArray[np.float32]) -> "Supply":
        """For many one-worker trials: one copy of the set, dealt by each trial's own seed."""
        train, val = prepared.windows("train"), prepared.windows("val")
        return cls(Source.of(prepared), [_stored(train)], [_stored(val)], ray.put(vectors), False)

    @classmethod
    def dealt(
        cls, prepared: PreparedSet, vectors: NDArray[np.float32], recipe: Recipe, workers: int
    ) -> "Supply":
        """For one training of several workers: each worker's shard apart."""
        source = Source.of(prepared)
        lanes = source.lanes(recipe)
        rows = [lanes.shard_rows(rank, workers) for rank in range(workers)]
        train = prepared.windows("train").take(pa.array(np.concatenate(rows)))
        vals = [len(source.val_range(rank, workers)) for rank in range(workers)]
        return cls(
            source,
            _split(train, [len(part) for part in rows]),
            _split(prepared.windows("val"), vals),
            ray.put(vectors),
            True,
        )

    def open(self, recipe: Recipe, rank: int, world_size: int, device: torch.device) -> Shards:
        """What a worker trains on, fetched to where it runs."""
        train, val = _table(self.train[rank]), _table(self.val[rank])
        if not self.is_dealt:
            train = train.take(pa.array(self.source.lanes(recipe).shard_rows(0, 1)))
        # A copy: what Ray shares between processes cannot be written to, and torch wants it
        # writable.
        vectors = torch.from_numpy(np.array(ray.get(self.vectors))).to(device)
        return Shards.assemble(
            self.source,
            recipe,
            train=train,
            val=val,
            vectors=vectors,
            rank=rank,
            world_size=world_size,
        )


def _stored(table: pa.Table) -> Refs:
    return ray.data.from_arrow(table).to_arrow_refs()


def _split(table: pa.Table, sizes: Sequence[int]) -> list[Refs]:
    cuts = np.cumsum(sizes)[:-1].tolist()
    dataset = ray.data.from_arrow(table)
    parts = dataset.split_at_indices(cuts) if cuts else [dataset]
    return [part.to_arrow_refs() for part in parts]


def _table(refs: Refs) -> pa.Table:
    return pa.concat_tables(ray.get(refs)).combine_chunks()
