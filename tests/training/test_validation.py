"""Losses on held-out windows: every window counts once, at its own address."""

import dataclasses
import math

import numpy as np
import pytest
from support.training import state_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.loader import Loader
from casas_ray.loader.window_store import WindowStore
from casas_ray.training.validation import held_out


def mlm_loss(recipe: Recipe, loader: Loader, store: WindowStore, first: int) -> float:
    model, vectors = state_of(recipe, loader).model, loader.vectors_NT
    return held_out(model, store, vectors, recipe, first=first, total=len(store))["mlm_loss"]


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
    found = held_out(model, store, vectors, recipe, first=0, total=3)
    # Three equal windows: two meet in a batch and cost log 2 each, the third stands alone.
    assert found["clip_loss"] == pytest.approx(2 / 3 * math.log(2), rel=1e-5)
    assert (found["sensor_to_text_acc"], found["text_to_sensor_acc"]) == (1.0, 1.0)
