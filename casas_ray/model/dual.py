"""The dual encoder: events on one side, frozen text vectors on the other, one shared space."""

# B windows, L events, W width, D embedding size, T text size, M masked events, V ids of a field

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import Recipe
from casas_ray.model.batch import Batch
from casas_ray.model.encoder import EventEncoder, pooled


@dataclass(frozen=True)
class Encoded:
    """What one pass over a batch gives."""

    sensor_BD: Tensor
    """Unit vectors."""

    text_BD: Tensor
    """Unit vectors."""

    masked: Mapping[str, Tensor]
    """By field, M x V: what the masked events are thought to be."""


class DualEncoder(nn.Module):
    """Event encoder, both projections, the temperature and a head for each field."""

    def __init__(self, recipe: Recipe, sizes: Mapping[str, int], text_size: int) -> None:
        super().__init__()
        width, embedding = recipe.model.width, recipe.model.embedding
        self.config = recipe.loss
        self.sizes = dict(sizes)
        self.encoder = EventEncoder(recipe.model, sizes)
        self.project_sensor = nn.Linear(width, embedding)
        self.project_text = nn.Linear(text_size, embedding)
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(recipe.loss.temperature_init)),
            requires_grad=recipe.loss.temperature_learnable,
        )
        # The heads of all fields side by side: one product instead of one a field.
        self.heads = nn.Linear(width, sum(sizes.values()))

    def forward(self, batch: Batch) -> Encoded:
        """Both sides of every pair and the masked events, from one pass."""
        x_BSW = self.encoder(batch)
        logits = self.heads(x_BSW[:, 1:][batch.masked_BL])
        return Encoded(
            sensor_BD=F.normalize(self.project_sensor(pooled(x_BSW, batch.real_BL)), dim=-1),
            text_BD=self.embed_text(batch.text_BT),
            masked=dict(zip(self.sizes, logits.split([*self.sizes.values()], dim=-1), strict=True)),
        )

    def embed_text(self, text_BT: Tensor) -> Tensor:
        """Caption vectors in the shared space, B x D, unit length."""
        return F.normalize(self.project_text(text_BT), dim=-1)

    @property
    def temperature(self) -> Tensor:
        """What similarities are divided by."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Bring the temperature back into its range; called after each step."""
        low, high = self.config.temperature_min, self.config.temperature_max
        self.log_temperature.clamp_(math.log(low), math.log(high))


def targets(batch: Batch) -> dict[str, Tensor]:
    """By field, the M ids that masked events really have."""
    found_MF = batch.ids_BLF[batch.masked_BL].long()
    return dict(zip(batch.fields, found_MF.unbind(-1), strict=True))
