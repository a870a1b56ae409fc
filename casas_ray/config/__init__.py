"""The settings: Recipe (all that may change a result), Machine and Tracking (all that may not)."""

from casas_ray.config.base import (
    Settings,
    differences,
    flat,
    parse_overrides,
    split_overrides,
)
from casas_ray.config.data import (
    CaptionConfig,
    ContextConfig,
    DataConfig,
    SimulateConfig,
    SplitConfig,
    WindowConfig,
)
from casas_ray.config.machine import Machine
from casas_ray.config.model import SIZES, ModelConfig, TextConfig
from casas_ray.config.recipe import Recipe
from casas_ray.config.setup import Setup
from casas_ray.config.tracking import Tracking
from casas_ray.config.training import (
    CompileKind,
    HideConfig,
    LossConfig,
    MaskingConfig,
    OptimConfig,
)

__all__ = [
    "SIZES",
    "CaptionConfig",
    "CompileKind",
    "ContextConfig",
    "DataConfig",
    "HideConfig",
    "LossConfig",
    "Machine",
    "MaskingConfig",
    "ModelConfig",
    "OptimConfig",
    "Recipe",
    "Settings",
    "Setup",
    "SimulateConfig",
    "SplitConfig",
    "TextConfig",
    "Tracking",
    "WindowConfig",
    "differences",
    "flat",
    "parse_overrides",
    "split_overrides",
]
