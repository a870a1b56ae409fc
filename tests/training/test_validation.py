"""Held-out windows: each counts once, masked by its own address, on any number of workers."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from support.training import state_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.loader.loader import Loader
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.dual import DualEncoder
from casas_ray.training.validation import held_out, validate


@pytest.fixture(scope="module")
def ragged_recipe(small_recipe: Recipe) -> Recipe:
    """Windows of 60 seconds: three events and more."""
    return small_recipe.replace({"data.windows.kind": "fixed_duration", "model.dropout": 0.0})


@pytest.fixture(scope="module")
def ragged_set(ragged_recipe: Recipe) -> PreparedSet:
    prepared = prepare(ragged_recipe.data, logs_for(ragged_recipe.data))
    length = prepared.lengths("val")
    assert length.min() < length.max() / 3
    return prepared


def loader_of(recipe: Recipe, prepared: PreparedSet, rank: int, world_size: int) -> Loader:
    facts = SetFacts.of(prepared)
    own = facts.val_range(rank, world_size)
    val = WindowStore.of(prepared.windows("val").slice(own.start, len(own)))
    vectors = np.random.default_rng(0).standard_normal((len(prepared.captions()), 16))
    sampler, texts = facts.sampler(recipe), torch.from_numpy(vectors.astype(np.float32))
    return Loader(val, val, facts, sampler, texts, recipe, rank, world_size)


def validated(recipe: Recipe, prepared: PreparedSet, rank: int, size: int) -> dict[str, float]:
    torch.manual_seed(0)
    loader = loader_of(recipe, prepared, rank, size)
    model = DualEncoder(recipe, loader.facts.sizes(), text_size=16)
    return validate(model, loader=loader, recipe=recipe)


def one_worker(rank: int, size: int, folder: str, recipe: Recipe, prepared: PreparedSet) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting{size}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    metrics = validated(recipe, prepared, rank, size)
    (Path(folder) / f"{size}-{rank}.json").write_text(json.dumps(metrics))
    dist.barrier()  # gloo workers that leave before the others can abort them
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_windows_of_unlike_length_have_the_metrics_of_one_worker(
    size: int, ragged_recipe: Recipe, ragged_set: PreparedSet, tmp_path: Path
):
    alone = validated(ragged_recipe, ragged_set, 0, 1)
    mp.spawn(one_worker, args=(size, str(tmp_path), ragged_recipe, ragged_set), nprocs=size)
    for rank in range(size):
        together = json.loads((tmp_path / f"{size}-{rank}.json").read_text())
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            near = {"abs": 2.5 / 300} if "recall" in name or "ndcg" in name else {"rel": 1e-5}
            assert together[name] == pytest.approx(value, **near), name


def mlm_loss(recipe: Recipe, loader: Loader, store: WindowStore, first: int) -> float:
    model, vectors = state_of(recipe, loader).model, loader.vectors_NT
    return held_out(model, store, vectors, recipe, first=first, total=len(store), longest=20)[
        "mlm_loss"
    ]


def test_masks_go_by_the_window_whoever_holds_it_and_every_masked_event_counts_once(
    small_recipe: Recipe, small_loader: Loader, small_set: PreparedSet
):
    table = small_set.windows("val")
    assert table.num_rows > 256 + 1  # more than a chunk
    whole = mlm_loss(small_recipe, small_loader, WindowStore.of(table), 0)
    parts = [WindowStore.of(table.slice(0, 256)), WindowStore.of(table.slice(256))]
    losses = [
        mlm_loss(small_recipe, small_loader, part, first)
        for part, first in zip(parts, (0, 256), strict=True)
    ]
    # Three of ten events are masked.
    asked = [np.rint(0.3 * part.length_N).sum() for part in parts]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)
    assert whole == pytest.approx(np.average(losses, weights=asked), rel=1e-6)


def test_validation_masks_the_share_that_the_recipe_says(
    small_recipe: Recipe, small_loader: Loader
):
    found = {
        mlm_loss(small_recipe.replace({"masking.share": share}), small_loader, small_loader.val, 0)
        for share in (0.15, 0.3, 0.6)
    }
    assert len(found) == 3


def test_a_short_last_batch_weighs_by_its_windows(small_recipe: Recipe, small_loader: Loader):
    recipe = small_recipe.replace({"optim.batch_size": 2})
    of_a_window = ("length_N", "first_record_N", "first_event_N", "first_caption_N")
    thrice = {
        name: np.repeat(getattr(small_loader.val, name)[:1], 3)
        for name in (*of_a_window, "caption_count_N")
    }
    store = dataclasses.replace(small_loader.val, **thrice)
    model, vectors = state_of(recipe, small_loader).model, small_loader.vectors_NT
    found = held_out(model, store, vectors, recipe, first=0, total=3, longest=20)
    # Three equal windows: two meet in a batch and cost log 2 each, the third stands alone.
    assert found["clip_loss"] == pytest.approx(2 / 3 * math.log(2), rel=1e-5)
    assert (found["sensor_to_text_acc"], found["text_to_sensor_acc"]) == (1.0, 1.0)
