"""Flat JSON configurations: those of the earlier scripts, and our own written and read back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from casas_ray.config import Recipe, Tracking
from casas_ray.config.base import flat
from casas_ray.errors import DataError, SettingsError, did_you_mean
from casas_ray.files import shown, small_text, why
from casas_ray.names import json_text

EARLIER_NAMES = {
    "d_model": "model.width",
    "n_layers": "model.layers",
    "n_heads": "model.heads",
    "d_ff": "model.feed_forward",
    "dropout": "model.dropout",
    "fourier_bands": "model.fourier_bands",
    "projection_dim": "model.embedding",
    "clip_weight": "loss.clip_weight",
    "mlm_weight": "loss.mlm_weight",
    "temperature_init": "loss.temperature_init",
    "learnable_temperature": "loss.temperature_learnable",
    "mask_prob": "masking.share",
    "mean_span_length": "masking.mean_span",
    "batch_size": "optim.batch_size",
    "epochs": "optim.epochs",
    "num_epochs": "optim.epochs",
    "max_steps": "optim.max_steps",
    "learning_rate": "optim.learning_rate",
    "weight_decay": "optim.weight_decay",
    "beta1": "optim.beta1",
    "beta2": "optim.beta2",
    "warmup_ratio": "optim.warmup_share",
    "grad_clip_norm": "optim.gradient_clip",
    "val_interval": "optim.validate_every",
    "text_model_name": "text.model",
    "seed": "seed",
    "log_interval": "tracking.log_every",
    "wandb_project": "tracking.project",
    "wandb_entity": "tracking.entity",
    "wandb_name": "tracking.name",
    "wandb_tags": "tracking.tags",
    "wandb_group": "tracking.group",
    "wandb_notes": "tracking.notes",
    "wandb_log_model": "tracking.log_model",
    "wandb_log_gradients": "tracking.log_gradients",
    "wandb_log_parameters": "tracking.log_parameters",
    "wandb_log_graph": "tracking.log_graph",
    "wandb_watch_freq": "tracking.watch_every",
}
"""The setting of each key of the earlier scripts' configurations."""

_FILES = {
    "train_data_path": "train_data",
    "val_data_path": "val_data",
    "test_data_path": "test_data",
    "vocab_path": "vocab",
    "output_dir": "output_dir",
}
_NO_EFFECT = {
    "save_interval": "a checkpoint is written at every look at the validation days",
    "device": "where to train is the machine's, --machine",
    "num_workers": "batches are copied from memory; there are no loader processes",
    "text_model_frozen": "the text tower is always frozen",
    "max_seq_len": "windows are cut when they are prepared",
}
_TOGETHER = ("use_wandb", "use_hard_negatives", "hard_negative_memory_size", "adaptive_mask")
"""Keys that mean something only together with others."""

Flat = Mapping[str, Any]  # Any: what the earlier scripts' JSON holds


@dataclass
class FlatConfig:
    """What a flat configuration asks for."""

    settings: dict[str, object] = field(default_factory=dict)
    """By path, as at the end of a command."""

    files: dict[str, Path] = field(default_factory=dict)
    """train_data, val_data, test_data, vocab, output_dir."""

    use_wandb: bool = True
    no_effect: dict[str, str] = field(default_factory=dict)
    """Keys that do nothing here, and why."""


def read_flat(path: Path) -> FlatConfig:
    """A configuration file: of the earlier scripts, or written by `casas-ray config`.

    Raises:
        DataError: it cannot be read as one JSON object.
        SettingsError: it has a key that nobody knows.
    """
    try:
        tree = json.loads(small_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{shown(path)} is no JSON configuration: {why(error)}.") from None
    if not isinstance(tree, dict):
        raise DataError(f'{shown(path)}: wanted one object, such as {{"d_model": 512}}.')
    return flat_config(tree, shown(path))


def flat_config(tree: Flat, where: str) -> FlatConfig:
    """What the keys of a configuration ask for; `where` is its name in errors.

    Raises:
        SettingsError: nobody knows a key, or two that belong together contradict each other.
    """
    config = FlatConfig()
    ours = {*flat(Recipe()), *(f"tracking.{name}" for name in flat(Tracking()))}
    for key, value in tree.items():
        if key in EARLIER_NAMES:
            config.settings[EARLIER_NAMES[key]] = value
        elif key in ours:
            config.settings[key] = value
        elif key in _FILES and value is None:
            continue
        elif key in _FILES and not str(value).strip():
            # Python would take it for the current folder.
            raise SettingsError(
                f"{where}: '{key}' is an empty path.", hint="name one, or write null."
            )
        elif key in _FILES:
            config.files[_FILES[key]] = Path(str(value))
        elif key in _NO_EFFECT:
            config.no_effect[key] = _NO_EFFECT[key]
        elif key not in _TOGETHER:
            everything = [*EARLIER_NAMES, *_FILES, *_NO_EFFECT, *_TOGETHER, *ours]
            raise SettingsError(
                f"{where}: unknown key '{key}'.", hint=did_you_mean(key, everything)
            )
    _read_together(tree, config)
    # An empty W&B name and the like mean the usual, as they did.
    config.settings = {path: value for path, value in config.settings.items() if value is not None}
    return config


def _read_together(tree: Flat, config: FlatConfig) -> None:
    config.use_wandb = bool(tree.get("use_wandb", True))
    if tree.get("use_hard_negatives"):
        config.settings["loss.bank_size"] = tree.get("hard_negative_memory_size", 4096)
    elif "hard_negative_memory_size" in tree:
        config.no_effect["hard_negative_memory_size"] = "use_hard_negatives is off"
    if tree.get("adaptive_mask"):
        # The key is a flag and tells no start: half of the share is taken.
        share = tree.get("mask_prob") or Recipe().masking.share
        if isinstance(share, int | float):  # what is no number is refused where it is a setting
            config.settings["masking.grows_from"] = share / 2


def written(recipe: Recipe, tracking: Tracking) -> str:
    """The text of a recipe as one flat JSON object, which `--config` reads back."""
    tree = flat(recipe) | {f"tracking.{name}": value for name, value in flat(tracking).items()}
    return json_text(tree, ascii_only=True)
