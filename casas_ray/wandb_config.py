"""The W&B configuration of the earlier scripts, for code that still asks for it.

from casas_ray.wandb_config import WandBConfig, get_wandb_config_for_experiment
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casas_ray.errors import SettingsError, did_you_mean

EXPERIMENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "milan_baseline": (
        "milan_baseline_v1",
        "Baseline dual encoder on Milan.",
        ("milan", "baseline", "dual-encoder"),
    ),
    "milan_ablation_mlm": (
        "milan_ablation_mlm_v1",
        "How much masked-event modelling does alignment want?",
        ("milan", "ablation", "mlm"),
    ),
    "milan_ablation_temperature": (
        "milan_ablation_temperature_v1",
        "Which temperature should the contrast start at?",
        ("milan", "ablation", "temperature"),
    ),
    "multi_dataset": (
        "multi_dataset_v1",
        "One encoder for several homes.",
        ("multi-dataset", "dual-encoder"),
    ),
}
"""Name, notes and tags of each predefined experiment."""

Flat = Mapping[str, Any]  # Any: what the earlier scripts' JSON holds


@dataclass(frozen=True)
class WandBConfig:
    """Makes the `wandb_*` part of a flat configuration."""

    project_name: str = "discover-v2"
    entity: str | None = None

    def get_config(self, experiment_name: str, config: Flat) -> dict[str, Any]:  # Any: as in Flat
        """The configuration of a run of that name; what `config` says already stands."""
        usual: dict[str, Any] = {  # Any: as in Flat
            "use_wandb": True,
            "wandb_project": self.project_name,
            "wandb_entity": self.entity,
            "wandb_name": experiment_name,
            "wandb_tags": tags_of(config),
            "wandb_notes": "",
            "wandb_group": group_of(config),
            "wandb_log_model": False,
            "wandb_log_gradients": False,
            "wandb_log_parameters": True,
            "wandb_watch_freq": 100,
            "wandb_log_graph": False,
        }
        return usual | {name: value for name, value in config.items() if name in usual}


def get_wandb_config_for_experiment(
    experiment: str, config: Flat
) -> dict[str, Any]:  # Any: as in Flat
    """The W&B configuration of a predefined experiment.

    Raises:
        SettingsError: there is no such experiment.
    """
    name, notes, tags = experiment_named(experiment)
    settings = WandBConfig().get_config(name, config)
    return settings | {
        "wandb_notes": config.get("wandb_notes") or notes,
        "wandb_tags": list(dict.fromkeys([*tags, *settings["wandb_tags"]])),
    }


def experiment_named(experiment: str) -> tuple[str, str, tuple[str, ...]]:
    """Name, notes and tags of a predefined experiment.

    Raises:
        SettingsError: there is no such experiment.
    """
    if experiment not in EXPERIMENTS:
        raise SettingsError(
            f"no experiment '{experiment}'.", hint=did_you_mean(experiment, EXPERIMENTS)
        )
    return EXPERIMENTS[experiment]


def tags_of(config: Flat) -> list[str]:
    """Tags from home, width, layers, heads and losses, such as `milan`, `d512`, `clip`."""
    sizes = {"d": "d_model", "layers": "n_layers", "heads": "n_heads"}
    tags = [_home(config)]
    tags += [f"{word}{config[name]}" for word, name in sizes.items() if name in config]
    losses = {"clip": "clip_weight", "mlm": "mlm_weight"}
    tags += [word for word, name in losses.items() if float(config.get(name, 0.0) or 0.0) > 0]
    return [tag for tag in tags if tag]


def group_of(config: Flat) -> str:
    """The group from home and size, such as `milan_d512_l4`."""
    parts = [_home(config) or "home"]
    parts += [
        f"{word}{config[name]}"
        for word, name in (("d", "d_model"), ("l", "n_layers"))
        if name in config
    ]
    return "_".join(parts)


def _home(config: Flat) -> str:
    named = config.get("dataset") or config.get("home")
    # The earlier scripts named the home in the path of its data alone.
    path = str(config.get("train_data_path") or "").lower()
    known = ("milan", "aruba", "cairo", "kyoto", "tulum")
    return str(named or next((home for home in known if home in path), ""))
