"""Validation is the same on any number of workers, for windows of unlike length too."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.loader.loader import Loader
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.dual import DualEncoder
from casas_ray.training.validation import validate


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
