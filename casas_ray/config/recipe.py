"""A recipe: the groups of settings that may change a result, and its seed."""

from typing import Self

from pydantic import model_validator

from casas_ray.config.base import Seed, Settings
from casas_ray.config.data import DataConfig
from casas_ray.config.model import ModelConfig, TextConfig
from casas_ray.config.training import LossConfig, MaskingConfig, OptimConfig


class Recipe(Settings):
    """All that may change a result."""

    name: str = "unnamed"
    """The starting point it grew from; a label that changes no number."""

    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    masking: MaskingConfig = MaskingConfig()
    optim: OptimConfig = OptimConfig()

    seed: Seed = 0
    """Draws the first weights, the order of windows, the masks and the dropout."""

    def with_data(self, data: DataConfig) -> Self:
        """The recipe on other data.

        Raises:
            SettingsError: it wants what that data has not.
        """
        return self.build({**self.model_dump(), "data": data.model_dump()})

    @model_validator(mode="after")
    def _graphs_want_one_length(self) -> Self:
        windows = self.data.windows
        one_length = windows.kind == "fixed_length" and not windows.presegmented
        if self.optim.compile == "cuda_graphs" and not one_length:
            raise ValueError(
                "optim.compile=cuda_graphs wants windows of one length (fixed_length, not "
                "presegmented)"
            )
        return self
