"""No setting of the model, the losses, the masks or the optimiser is vacuous: each changes the
numbers where it applies, and none is missing here."""

import numpy as np
import pytest
import torch
from support.training import losses_of

from casas_ray.config import Recipe
from casas_ray.config.base import flat
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.training_data import TrainingData

CHANGES: dict[str, object] = {
    "model.width": 48,
    "model.layers": 2,
    "model.heads": 4,
    "model.feed_forward": 96,
    "model.dropout": 0.1,
    "model.fields": ("sensor", "room", "gap"),
    "model.sensor_text": True,
    "model.positions": "rotary",
    "model.pooling": "mean",
    "model.projection": "mlp",
    "model.fourier_bands": 3,
    "model.gap_bins": 8,
    "model.embedding": 24,
    "model.time_harmonics": 2,
    "model.state_token": True,
    "loss.clip_weight": 0.5,
    "loss.mlm_weight": 0.9,
    "loss.aggregates_weight": 0.5,
    "loss.neighbours_weight": 0.5,
    "loss.kind": "sigmoid",
    "loss.focal_gamma": 1.0,
    "loss.sigmoid_bias_init": -1.0,
    "loss.duplicates": "ignored",
    "loss.soft_targets": 0.5,
    "loss.soft_temperature": 0.5,
    "loss.bank_size": 96,
    "loss.bank_hardest": 2,
    "loss.temperature_init": 0.1,
    "loss.temperature_learnable": False,
    "loss.temperature_max": 0.03,
    "masking.share": 0.5,
    "masking.mean_span": 1.0,
    "masking.start": "transitions",
    "masking.hide.sensor": 0.5,
    "masking.hide.state": 0.5,
    "masking.hide.time_of_day": 0.5,
    "masking.hide.time_gap": 0.5,
    "masking.blackout": 0.9,
    "masking.swap": 0.5,
    "masking.keep": 0.5,
    "masking.grows_from": 0.1,
    "optim.batch_size": 64,
    "optim.epochs": 5,
    "optim.max_steps": 12,
    "optim.learning_rate": 0.01,
    "optim.beta1": 0.5,
    "optim.beta2": 0.5,
    "optim.weight_decay": 0.5,
    "optim.warmup_share": 0.5,
    "optim.gradient_clip": 0.01,
    "seed": 7,
}
"""Another value for each setting."""

WHERE: dict[str, dict[str, object]] = {
    "loss.focal_gamma": {"loss.kind": "focal"},
    "loss.sigmoid_bias_init": {"loss.kind": "sigmoid"},
    "loss.soft_temperature": {"loss.soft_targets": 0.5},
    "loss.bank_hardest": {"loss.bank_size": 96},
    "masking.blackout": {"masking.hide.state": 0.2},
}
"""What a setting needs beside it to have an effect."""

ELSEWHERE = {
    "name": "a label",
    "text.model": "test_text.py",
    "text.max_tokens": "test_text.py",
    "loss.temperature_min": "test_encoder.py",
    "optim.pieces": "test_objective.py: it must change no number",
    "optim.ema_decay": "test_objective.py",
    "optim.precision": "test_objective.py",
    "optim.compile": "test_objective.py: it must change no number",
    "optim.validate_every": "test_training.py",
    "optim.patience": "test_objective.py",
    "optim.select_by": "test_training.py",
}
"""Settings that change no training number, and who tests them."""


def test_every_setting_is_tried_here_or_elsewhere():
    known = {path for path in flat(Recipe()) if not path.startswith("data.")}
    assert known == {*CHANGES, *ELSEWHERE}


@pytest.mark.parametrize("path", CHANGES)
def test_a_setting_changes_the_numbers(
    path: str, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    before = small_recipe.replace(WHERE.get(path, {}))
    found = [
        losses_of(
            recipe, TrainingData(small_set, small_vectors).loader(recipe, torch.device("cpu"))
        )
        for recipe in (before, before.replace({path: CHANGES[path]}))
    ]
    assert found[0] != found[1]
