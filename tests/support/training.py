"""A few steps of a recipe, without a run around them."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from casas_ray.config import Recipe
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader
from casas_ray.records.run_result import checkpoint_folder
from casas_ray.records.run_store import FolderStore
from casas_ray.training import checkpoint
from casas_ray.training.step import TrainState, train_step


def state_of(recipe: Recipe, loader: Loader) -> TrainState:
    return TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=loader.vectors_NT.shape[1],
        steps_per_epoch=loader.sampler.steps_per_epoch,
        device=torch.device("cpu"),
        about=loader.facts.about,
    )


def batches_of(recipe: Recipe, loader: Loader) -> Iterator[Batch]:
    return dataclasses.replace(loader, recipe=recipe).batches(start=0)


def losses_of(recipe: Recipe, loader: Loader, steps: int = 4) -> list[float]:
    state, batches = state_of(recipe, loader), batches_of(recipe, loader)
    found = [train_step(state, next(batches)) for _ in range(steps)]
    assert all(np.isfinite(float(value)) for row in found for value in row.values())
    return [float(row["train/total_loss"]) for row in found]


def saved(state: TrainState, run: Path, *, keep: int) -> Path:
    """The folder of the state's checkpoint, written now."""
    best = int(state.best.get("step", -1))
    FolderStore(run).save(
        state.step, functools.partial(checkpoint.write, state), keep=keep, best=best
    )
    return checkpoint_folder(run, state.step)
