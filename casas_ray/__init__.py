"""Dual encoders that align smart-home sensor events with text, as Ray experiments."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casas_ray.api import compare, load, prepare, prepare_json, train, tune
    from casas_ray.catalog import find_base, find_study
    from casas_ray.config import Machine, Recipe, Tracking
    from casas_ray.study import Study

__version__ = "0.1.0"
__all__ = [
    "Machine",
    "Recipe",
    "Study",
    "Tracking",
    "compare",
    "find_base",
    "find_study",
    "load",
    "prepare",
    "prepare_json",
    "train",
    "tune",
]

_HOMES = {
    "api": ("compare", "load", "prepare", "prepare_json", "train", "tune"),
    "catalog": ("find_base", "find_study"),
    "config": ("Machine", "Recipe", "Tracking"),
    "study": ("Study",),
}


def __getattr__(name: str) -> Any:  # Any: functions and classes of several rooms
    # Late, so that `import casas_ray.config` stays a matter of milliseconds.
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"casas_ray.{module}"), name)
    raise AttributeError(f"module 'casas_ray' has no attribute '{name}'")
