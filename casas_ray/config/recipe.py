"""A recipe: the groups of settings that may change a result, and its seed."""

from typing import Literal, Self

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
        """The recipe on other data, of which it reads as much around a window as before.

        Raises:
            SettingsError: it wants what that data has not.
        """
        read = {**data.model_dump(), "context": self.data.context.model_dump()}
        return self.build({**self.model_dump(), "data": read})

    @property
    def reads(self) -> Literal["none", "past", "both"]:
        """What a window's vector knows beside the window's own events."""
        side = self.data.context.side
        return "past" if side == "none" and self.model.state_token else side

    @property
    def wants_whole_split(self) -> bool:
        """Whether a batch asks of windows what lies in none of them: the events around them, or
        what is counted over all."""
        return self.reads != "none" or self.loss.counts

    @model_validator(mode="after")
    def _context_fits(self) -> Self:
        if self.data.context.side != "none" and self.model.pooling not in ("mean", "attention"):
            raise ValueError(
                f"model.pooling={self.model.pooling} takes the class token, which stands for all "
                "that is read; data.context wants model.pooling=mean or attention"
            )
        if self.optim.batch_size % self.data.context.windows:
            raise ValueError(
                f"data.context.windows {self.data.context.windows} does not divide "
                f"optim.batch_size {self.optim.batch_size}"
            )
        if self.optim.compile == "cuda_graphs" and self.data.context.side != "none":
            raise ValueError(
                "optim.compile=cuda_graphs wants chunks of one length, and data.context has "
                "shorter ones where days of another split are near"
            )
        return self

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
