"""Stores of whole splits, for recipes that ask of a window what lies around it or is counted over
all; and the part of them that a worker takes."""

# N texts of the set and T size of a text vector

import dataclasses
import functools

import numpy as np
import pyarrow as pa
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.counted import Counted, Scale, WindowEvents
from casas_ray.loader.loader import Loader
from casas_ray.loader.sampler import LengthBucketSampler
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.window_store import WindowStore, refuse_alone

_AT_A_TIME = 16_384


def require_events(prepared: PreparedSet, recipe: Recipe) -> None:
    """Refuse a recipe that reads around windows of which nobody knows what is around them.

    Raises:
        SettingsError: the set is of alignment JSON, whose windows stand alone.
    """
    if recipe.wants_whole_split:
        refuse_alone(prepared.piece("val", 0, 1))


def whole_loader(
    train: pa.Table,
    val: pa.Table,
    facts: SetFacts,
    vectors_NT: Tensor,
    recipe: Recipe,
    rank: int,
    world_size: int,
) -> Loader:
    """A worker's loader, made of all windows of both splits."""
    stores = [WindowStore.of_split(table, recipe) for table in (train, val)]
    if recipe.loss.counts:
        scale = scale_of(stores[0])
        facts = facts.counting(len(scale.mean_A))
        stores = [
            counting(store, table, scale) for store, table in zip(stores, (train, val), strict=True)
        ]
    part = facts.val_range(rank, world_size)
    sampler, train_store = _dealt(stores[0], facts, recipe, rank, world_size)
    return Loader(
        train_store,
        stores[1].taken(np.arange(part.start, part.stop)),
        facts,
        sampler,
        vectors_NT,
        recipe,
        rank,
        world_size,
    )


def _dealt(
    train: WindowStore, facts: SetFacts, recipe: Recipe, rank: int, world_size: int
) -> tuple[LengthBucketSampler, WindowStore]:
    """The order of the training windows, or of their blocks, and a worker's part of them: lane by
    lane, as the sampler numbers its rows."""
    together = recipe.data.context.windows
    if together == 1:
        sampler = facts.sampler(recipe)
        return sampler, train.taken(sampler.shard_rows(rank, world_size))
    blocks = train.in_blocks(together)
    lanes = recipe.optim.batch_size // together
    sampler = LengthBucketSampler(blocks.length_C, lanes, recipe.seed)
    own = blocks.taken(sampler.shard_rows(rank, world_size))
    return sampler, dataclasses.replace(train, blocks=own)


def split_store(prepared: PreparedSet, split: str, recipe: Recipe) -> WindowStore:
    """All windows of a split, as a recipe reads them and its losses count them."""
    table = prepared.windows(split)
    store = WindowStore.of_split(table, recipe)
    if not recipe.loss.counts:
        return store
    train = WindowStore.of_split(prepared.windows("train"), recipe)
    return counting(store, table, scale_of(train))


def scale_of(train: WindowStore) -> Scale:
    """How what is counted is standardised: by all training windows."""
    return Scale.fit(functools.partial(_pieces, train))


def counting(store: WindowStore, table: pa.Table, scale: Scale) -> WindowStore:
    """The store of a whole split with what is counted of its windows."""
    return dataclasses.replace(store, counted=Counted.of(table, _pieces(store), scale))


def _pieces(store: WindowStore) -> list[WindowEvents]:
    starts = range(0, len(store), _AT_A_TIME)
    return [_events(store, start, min(start + _AT_A_TIME, len(store))) for start in starts]


def _events(store: WindowStore, start: int, stop: int) -> WindowEvents:
    length_N = store.length_N[start:stop].astype(np.int64)
    offset_N = store.first_record_N[start:stop] - (np.cumsum(length_N) - length_N)
    records = store.events[np.arange(int(length_N.sum())) + np.repeat(offset_N, length_N)]
    sensor, state = (store.fields.index(field) for field in ("sensor", "state"))
    return WindowEvents(
        np.repeat(np.arange(stop - start), length_N),
        stop - start,
        records["ids"][:, sensor].astype(np.int64),
        records["ids"][:, state].astype(np.int64),
        records["gap_seconds"].astype(np.float64),
        records["day_seconds"].astype(np.float64),
    )
