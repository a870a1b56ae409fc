"""The dual encoder: events on one side, frozen text vectors on the other, one shared space."""

# B windows, L events, S = L + 1 tokens, W width, D embedding size, T text size, F fields, M masked
# events, V ids of a field; `x` may have any shape

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import CompileKind, ModelConfig, Recipe
from casas_ray.loader.batch import Batch
from casas_ray.loader.counted import OFFSETS
from casas_ray.model.embedding import hidden
from casas_ray.model.encoder import Dropout, EventEncoder

NOT_ASKED = -100
"""The target of a field that a masked event does not hide."""


@dataclass(frozen=True)
class Encoded:
    """What one pass over a batch gives: both sides of every pair, and the masked events."""

    sensor_BD: Tensor
    """Unit vectors."""

    text_BD: Tensor
    """Unit vectors."""

    logits: Mapping[str, Tensor]
    """By field, M x V: what the masked events are thought to be."""

    pooled_BW: Tensor
    """The windows before the projection."""


def whole(x: Tensor) -> Tensor:
    """The tensor in single precision or better, as losses are computed from."""
    # bf16 has 8 bits: over a small temperature, similarities that differ would become equal.
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Pooling(nn.Module):
    """One vector a window: CLS, the mean of its events, half of each, or a learned attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = config.pooling
        if config.pooling == "attention":
            self.score = nn.Linear(config.width, 1)

    def forward(self, x_BSW: Tensor, own_BL: Tensor) -> Tensor:
        """The window vectors, B x W; what is not the window's own counts for nothing. `own_BL` has
        one more axis, C x J x L, where a run of events has several windows or more than them."""
        if own_BL.ndim == 3:
            return self._of_runs(x_BSW, own_BL).flatten(0, 1)
        if self.kind == "cls":
            return x_BSW[:, 0]
        weight_BL1 = own_BL.unsqueeze(-1).to(x_BSW.dtype)
        if self.kind == "attention":
            scores_BL1 = self.score(x_BSW[:, 1:]).masked_fill(~own_BL.unsqueeze(-1), float("-inf"))
            return (x_BSW[:, 1:] * scores_BL1.softmax(1)).sum(1)
        mean_BW = (x_BSW[:, 1:] * weight_BL1).sum(1) / weight_BL1.sum(1)
        return mean_BW if self.kind == "mean" else 0.5 * (x_BSW[:, 0] + mean_BW)

    def _of_runs(self, x_CSW: Tensor, own_CJL: Tensor) -> Tensor:
        """The vectors of J windows a run, C x J x W; by their own events alone."""
        if self.kind == "attention":
            scores_C1L = self.score(x_CSW[:, 1:]).transpose(1, 2)
            share_CJL = scores_C1L.masked_fill(~own_CJL, float("-inf")).softmax(-1)
        else:
            weight_CJL = own_CJL.to(x_CSW.dtype)
            share_CJL = weight_CJL / weight_CJL.sum(-1, keepdim=True)
        return share_CJL @ x_CSW[:, 1:]


def projection(config: ModelConfig, inside: int) -> nn.Module:
    """A map from the `inside` numbers of one side into the shared space, D."""
    if config.projection == "linear":
        return nn.Linear(inside, config.embedding)
    return nn.Sequential(nn.Linear(inside, inside), nn.GELU(), nn.Linear(inside, config.embedding))


def neighbour_head(width: int, aggregates: int) -> nn.Module:
    """A small network from a window's vector to what is counted of each of its neighbours."""
    hidden_width = 2 * width
    return nn.Sequential(
        nn.Linear(width, hidden_width),
        nn.GELU(),
        nn.Linear(hidden_width, len(OFFSETS) * aggregates),
    )


_Vectors = tuple[Tensor, Tensor, Tensor, Tensor]


class DualEncoder(nn.Module):
    """Event encoder, both projections, the temperature, a head for each field, and heads for what
    is counted of windows where a loss asks for it."""

    def __init__(
        self,
        recipe: Recipe,
        sizes: Mapping[str, int],
        text_size: int,
        *,
        aggregates: int = 0,
    ) -> None:
        super().__init__()
        self.recipe, self.config = recipe, recipe.loss
        self.text_size = text_size
        causal = recipe.data.context.side == "past"
        self.encoder = EventEncoder(recipe.model, sizes, text_size, causal=causal)
        self.fields = self.encoder.embedding.fields
        self.sizes = {field: sizes[field] for field in self.fields}
        self.pooling = Pooling(recipe.model)
        self.project_sensor = projection(recipe.model, recipe.model.width)
        self.project_text = projection(recipe.model, text_size)
        # Its logarithm: a step of the optimiser can then not make the temperature negative.
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(recipe.loss.temperature_init)),
            requires_grad=recipe.loss.temperature_learnable,
        )
        if recipe.loss.kind == "sigmoid":
            self.bias = nn.Parameter(torch.tensor(recipe.loss.sigmoid_bias_init))
        # The heads of all fields side by side: one product instead of one a field.
        self.heads = nn.Linear(recipe.model.width, sum(self.sizes.values()))
        # After all others, and only where asked: else a seed would have other weights than before.
        if recipe.loss.aggregates_weight:
            self.aggregates = nn.Linear(recipe.model.width, aggregates)
        if recipe.loss.neighbours_weight:
            self.neighbours = neighbour_head(recipe.model.width, aggregates)
        self._compiled: Callable[[Batch, Dropout], _Vectors] | None = None

    def forward(self, batch: Batch) -> Encoded:
        """Both sides of every pair and the masked events, from one pass."""
        # Held-out windows come in other numbers than a batch's, and would be compiled for apart.
        held_out = torch.is_inference_mode_enabled()
        vectors = self._vectors if held_out or self._compiled is None else self._compiled
        x_BSW, pooled_BW, sensor_BD, text_BD = vectors(batch, self.encoder.dropout_of(batch))
        # On masked events only; the heads of all events cost several times as much. Not compiled:
        # with a share of masked events that grows, each step would be a new form.
        asked_MW = x_BSW[:, 1:].flatten(0, 1).index_select(0, batch.asked_M)
        logits = whole(self.heads(asked_MW)).split([*self.sizes.values()], dim=-1)
        by_field = dict(zip(self.sizes, logits, strict=True))
        return Encoded(sensor_BD, text_BD, by_field, pooled_BW)

    def compile_vectors(self, how: CompileKind) -> None:
        """Let `torch.compile` make the kernels from a batch to its vectors, and CUDA graphs of them
        where asked."""
        if how != "off":
            mode = "reduce-overhead" if how == "cuda_graphs" else None
            # The method, not the modules: those would be called `_orig_mod.` in checkpoints.
            self._compiled = torch.compile(self._vectors, mode=mode)

    def _vectors(self, batch: Batch, dropout: Dropout) -> _Vectors:
        """The tokens, B x S x W, the windows, B x W, and both sides of every pair, B x D."""
        x_BSW = self.encoder(batch, dropout)
        pooled_BW = self.pooling(x_BSW, batch.window_events)
        return x_BSW, pooled_BW, self._embed_pooled(pooled_BW), self.embed_text(batch.text_BT)

    def embed_windows(self, batch: Batch) -> Tensor:
        """Windows in the shared space, B x D, unit length."""
        return self._embed_pooled(self.pooled(batch))

    def _embed_pooled(self, pooled_BW: Tensor) -> Tensor:
        return F.normalize(whole(self.project_sensor(pooled_BW)), dim=-1)

    def embed_text(self, text_BT: Tensor) -> Tensor:
        """Caption vectors in the shared space, B x D, unit length."""
        return F.normalize(whole(self.project_text(text_BT)), dim=-1)

    def pooled(self, batch: Batch) -> Tensor:
        """The window vectors before the projection, B x W: what probes are fitted on."""
        x_BSW = self.encoder(batch, self.encoder.dropout_of(batch))
        return self.pooling(x_BSW, batch.window_events)

    @property
    def temperature(self) -> Tensor:
        """What similarities are divided by, a scalar."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Bring the temperature back into its range; called after each step."""
        # Too low, and the softmax is a maximum: most pairs have no gradient left.
        low, high = self.config.temperature_min, self.config.temperature_max
        self.log_temperature.clamp_(math.log(low), math.log(high))


def targets(batch: Batch, fields: tuple[str, ...]) -> dict[str, Tensor]:
    """The M ids that masked events really have, by field; NOT_ASKED where the field was seen."""
    ids_MF = batch.ids_BLF.flatten(0, 1)[batch.asked_M].long()
    if batch.hidden_BLG is None:
        columns = dict(zip(batch.fields, ids_MF.unbind(-1), strict=True))
        return {field: columns[field] for field in fields}
    return {
        field: ids_MF[:, batch.fields.index(field)].masked_fill(
            ~hidden(batch, field).flatten()[batch.asked_M], NOT_ASKED
        )
        for field in fields
    }
