"""Recipe, machine and tracking together."""

from casas_ray.config.base import Settings
from casas_ray.config.machine import Machine
from casas_ray.config.recipe import Recipe
from casas_ray.config.tracking import Tracking


class Setup(Settings):
    """The three together: what a command line's `path=value` words are read into."""

    recipe: Recipe = Recipe()
    machine: Machine = Machine()
    tracking: Tracking = Tracking()
