"""Ray Data deals the alignment set to the workers: whole lanes for each, in a fixed order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
import torch

from casas_ray.config import Machine, Recipe
from casas_ray.loader.loader import Loader
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.training_data import TrainingData
from casas_ray.loader.whole_split import whole_loader
from casas_ray.loader.window_store import WindowStore

# N captions and descriptions of the set, T width of the text model

Refs = list[Any]  # Any: ray's ObjectRef of an Arrow table, which takes no type argument


@dataclass(frozen=True)
class SharedData:
    """References to everything that workers train on; it is small and can be sent anywhere.

    A worker owns whole lanes of the sampler (`loader/sampler.py`): then it needs no window of
    another's, and the batch of a step is the same for any number of workers.
    """

    facts: SetFacts
    train: Sequence[Refs]
    """For each worker its lanes in order; or one entry with the whole table, not yet dealt."""

    val: Sequence[Refs]
    vectors: Any  # Any: ray's ObjectRef of an array, N x T as TrainingData has it
    is_dealt: bool
    """Whether `train` has an entry a worker, each in the sampler's order."""

    @classmethod
    def whole(cls, data: TrainingData) -> "SharedData":
        """For many one-worker trials, and for workers whose number may change: one copy of the
        set, of which each takes its part by the trial's own seed."""
        facts, prepared = SetFacts.of(data.prepared), data.prepared
        train, val = _stored(prepared.windows("train")), _stored(prepared.windows("val"))
        return cls(facts, [train], [val], ray.put(data.vectors_NT), is_dealt=False)

    @classmethod
    def of_trainer(cls, data: TrainingData, recipe: Recipe, machine: Machine) -> "SharedData":
        """For one training in a TorchTrainer."""
        # Whoever is there takes its part of the whole; and around a window lie those of others.
        if machine.is_elastic or recipe.wants_whole_split:
            return cls.whole(data)
        return cls.dealt(data, recipe, machine.most_workers)

    @classmethod
    def dealt(cls, data: TrainingData, recipe: Recipe, workers: int) -> "SharedData":
        """For one training of several workers: each worker's windows apart."""
        facts = SetFacts.of(data.prepared)
        sampler = facts.sampler(recipe)
        rows = [sampler.shard_rows(rank, workers) for rank in range(workers)]
        train = data.prepared.windows("train").take(pa.array(np.concatenate(rows)))
        val_sizes = [len(facts.val_range(rank, workers)) for rank in range(workers)]
        return cls(
            facts,
            _split(train, [len(part) for part in rows]),
            _split(data.prepared.windows("val"), val_sizes),
            ray.put(data.vectors_NT),
            is_dealt=True,
        )

    def loader(self, recipe: Recipe, rank: int, world_size: int, device: torch.device) -> Loader:
        """What a worker trains on, fetched to where it runs."""
        own = rank if self.is_dealt else 0
        train, val = _table(self.train[own]), _table(self.val[own])
        # A copy: what Ray shares between processes is read-only, and torch would take it for
        # writable.
        vectors_NT = torch.from_numpy(np.array(ray.get(self.vectors))).to(device)
        if recipe.wants_whole_split:
            return whole_loader(train, val, self.facts, vectors_NT, recipe, rank, world_size)
        sampler = self.facts.sampler(recipe)
        if not self.is_dealt:
            # Lane by lane, as the sampler numbers the rows of a worker.
            train = train.take(pa.array(sampler.shard_rows(rank, world_size)))
            part = self.facts.val_range(rank, world_size)
            val = val.slice(part.start, len(part)).combine_chunks()
        return Loader(
            WindowStore.of(train),
            WindowStore.of(val),
            self.facts,
            sampler,
            vectors_NT,
            recipe,
            rank,
            world_size,
        )


def shared_by_trials(
    data: Sequence[TrainingData], recipes: Sequence[Recipe], machine: Machine
) -> list[SharedData]:
    """One entry a trial; trials of one worker that train on the same data share one copy."""
    if machine.most_workers > 1:
        return [
            SharedData.of_trainer(trial_data, recipe, machine)
            for trial_data, recipe in zip(data, recipes, strict=True)
        ]
    # By identity, as `gather_study` shares it: to compare tables would read them all.
    distinct = {id(trial_data): trial_data for trial_data in data}
    shared = {key: SharedData.whole(trial_data) for key, trial_data in distinct.items()}
    return [shared[id(trial_data)] for trial_data in data]


def _stored(table: pa.Table) -> Refs:
    return ray.data.from_arrow(table).to_arrow_refs()


def _split(table: pa.Table, sizes: Sequence[int]) -> list[Refs]:
    cuts = np.cumsum(sizes)[:-1].tolist()
    dataset = ray.data.from_arrow(table)
    # Not streaming_split, which promises no order: a row's index in its part is its address.
    parts = dataset.split_at_indices(cuts) if cuts else [dataset]
    return [part.to_arrow_refs() for part in parts]


def _table(refs: Refs) -> pa.Table:
    # One chunk: the blocks that Ray Data made are many, and every column is read through them.
    return pa.concat_tables(ray.get(refs)).combine_chunks()
