"""The event encoder: a pre-norm transformer over a window's events, which knows their order by
ALiBi, by time or by learned positions."""

# B windows, L events (with context, those read for a window), S = L + 1 tokens (CLS first), R real
# tokens of the batch, W width, H heads, E width of a head, P = E / 2 pairs of its entries, U uses
# of dropout

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import ModelConfig
from casas_ray.loader.batch import Batch, with_cls
from casas_ray.loader.streams import keep_factor
from casas_ray.model.embedding import GAP, EventEmbedding, hidden, shown
from casas_ray.model.sensor_state import SensorState

LEARNED_POSITIONS = 512
"""Events beyond share the last one."""

_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 86_400.0
"""Periods of rotary positions."""


@dataclass(frozen=True)
class Layout:
    """How R real tokens lie among B x S; attention alone needs them laid out."""

    windows: int
    tokens: int
    """S."""

    index_R: Tensor | None
    """Where a real token lies in B x S; None where R is B x S, since no window is padded."""

    bias_BHSS: Tensor | None
    """What is added to attention scores; an axis along which it is the same has length 1."""

    angle_B1SP: Tensor | None
    """The angles that queries and keys are turned by."""

    def spread(self, x_RW: Tensor) -> Tensor:
        """The tokens laid out, B x S x W, 0 on padding."""
        if self.index_R is not None:
            empty = x_RW.new_zeros(self.windows * self.tokens, x_RW.shape[1])
            x_RW = empty.index_copy(0, self.index_R, x_RW)
        return x_RW.view(self.windows, self.tokens, -1)

    def packed(self, x_BSW: Tensor) -> Tensor:
        """The tokens without the padding, R x W."""
        flat = x_BSW.reshape(self.windows * self.tokens, -1)
        return flat if self.index_R is None else flat.index_select(0, self.index_R)


@dataclass(frozen=True)
class Dropout:
    """What dropout keeps of each of its uses within a pass, drawn by address beforehand."""

    kept_URW: Tensor | None
    factor: float = 1.0

    def added(self, x_RW: Tensor, y_RW: Tensor, use: int) -> Tensor:
        """x + y with some entries of y left out and the others scaled up; in one pass."""
        if self.kept_URW is None:
            return x_RW + y_RW
        return torch.addcmul(x_RW, y_RW, self._scale(use))

    def __call__(self, x_RW: Tensor, use: int) -> Tensor:
        """x with some entries left out and the others scaled up."""
        return x_RW if self.kept_URW is None else x_RW * self._scale(use)

    def _scale(self, use: int) -> Tensor:
        assert self.kept_URW is not None
        return self.kept_URW[use].to(torch.float32).mul_(self.factor)


class Block(nn.Module):
    """Attention and feed-forward, each on a normed copy and added back."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.feed_norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.width)

    def forward(self, x_RW: Tensor, layout: Layout, dropout: Dropout, use: int) -> Tensor:
        """The tokens after one block, R x W; `use` numbers the first of its two uses of dropout."""
        attended_RW = self._attend(self.attention_norm(x_RW), layout)
        x_RW = dropout.added(x_RW, attended_RW, use)
        # The exact GELU: torch's tanh one took three times as long on a CPU (docs/findings.md).
        fed_RW = self.down(F.gelu(self.up(self.feed_norm(x_RW))))
        return dropout.added(x_RW, fed_RW, use + 1)

    def _attend(self, x_RW: Tensor, layout: Layout) -> Tensor:
        size = (layout.windows, layout.tokens, 3, self.heads, -1)
        parts = layout.spread(self.qkv(x_RW)).view(size).unbind(2)
        q_BHSE, k_BHSE, v_BHSE = (part.transpose(1, 2) for part in parts)
        if layout.angle_B1SP is not None:
            q_BHSE = turned(q_BHSE, layout.angle_B1SP)
            k_BHSE = turned(k_BHSE, layout.angle_B1SP)
        bias_BHSS = None if layout.bias_BHSS is None else layout.bias_BHSS.to(q_BHSE.dtype)
        attended = F.scaled_dot_product_attention(q_BHSE, k_BHSE, v_BHSE, attn_mask=bias_BHSS)
        return self.out(layout.packed(attended.transpose(1, 2)))


class EventEncoder(nn.Module):
    """Windows of events, with what is read around them, to one vector a token; the first token is
    CLS. A `causal` one lets no token see a later one."""

    def __init__(
        self,
        config: ModelConfig,
        sizes: Mapping[str, int],
        text_size: int,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.embedding = EventEmbedding(config, sizes, text_size)
        self.cls = nn.Parameter(torch.randn(config.width) * 0.02)
        if config.positions == "learned":
            # Called `places` in every checkpoint that is out in the world.
            self.places = nn.Parameter(torch.randn(LEARNED_POSITIONS, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        if config.state_token:
            self.state = SensorState(config, sizes, text_size)

    def forward(self, batch: Batch, dropout: Dropout) -> Tensor:
        """A vector a token, B x S x W, CLS first; 0 on padding.

        Between the embedding and the end, padding is left out: a batch of short and long windows
        costs what its events cost.
        """
        events_BLW = self.embedding(batch)
        if self.config.positions == "learned":
            events_BLW = events_BLW + self._learned_positions(events_BLW.shape[1])
        cls_B1W = self.cls.expand(batch.chunks, 1, -1).to(events_BLW.dtype)
        if self.config.state_token:
            cls_B1W = cls_B1W + self.state(batch).unsqueeze(1).to(events_BLW.dtype)
        x_BSW = torch.cat([cls_B1W, events_BLW], dim=1)
        layout = self._layout(batch)
        return layout.spread(self._through(layout.packed(x_BSW), layout, dropout))

    def _through(self, x_RW: Tensor, layout: Layout, dropout: Dropout) -> Tensor:
        x_RW = dropout(x_RW, 0)
        for index, block in enumerate(self.blocks):
            x_RW = block(x_RW, layout, dropout, 1 + 2 * index)
        return self.norm(x_RW)

    def dropout_of(self, batch: Batch) -> Dropout:
        """What dropout keeps of this batch, drawn by address; apart from `forward`, which may be
        compiled."""
        if batch.dropout is None or self.config.dropout == 0.0:
            return Dropout(None)
        # For padded tokens too: what a token draws must not depend on the windows beside it.
        rate, width = self.config.dropout, (batch.real_BL.shape[1] + 1) * self.config.width
        uses = 1 + 2 * len(self.blocks)
        kept = batch.dropout.kept(uses, width, dropout=rate, device=batch.real_BL.device)
        kept_URW = kept.view(uses, -1, self.config.width)
        if batch.tokens_R is not None:
            kept_URW = kept_URW.index_select(1, batch.tokens_R)
        return Dropout(kept_URW, keep_factor(rate))

    def _learned_positions(self, longest: int) -> Tensor:
        index_L = torch.arange(longest, device=self.places.device)
        return self.places[index_L.clamp(max=LEARNED_POSITIONS - 1)]

    def _layout(self, batch: Batch) -> Layout:
        events = batch.real_BL.shape[1]
        padding = None if batch.tokens_R is None else padding_bias(batch.real_BL)
        bias, angle = padding, None
        if self.config.positions == "alibi":
            alibi = attention_bias(events, self.config.heads, batch.real_BL.device)
            bias = alibi if padding is None else alibi + padding
        if self.causal:
            ahead = ahead_bias(events, batch.real_BL.device)
            bias = ahead if bias is None else bias + ahead
        if self.config.positions == "rotary":
            angle = time_angles(batch, self.config.width // self.config.heads)
        return Layout(batch.chunks, events + 1, batch.tokens_R, bias, angle)


def attention_bias(events: int, heads: int, device: torch.device) -> Tensor:
    """What ALiBi adds to attention scores, 1 x H x S x S: less by a slope a head for each event
    between.

    ALiBi (Press et al. 2022), symmetric; CLS is as near to every event as to itself.
    """
    index_L = torch.arange(events, device=device)
    distance_LL = (index_L[:, None] - index_L[None, :]).abs()
    slope_H = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=device) / heads)
    return F.pad(-slope_H[:, None, None] * distance_LL, (1, 0, 1, 0)).unsqueeze(0)


def ahead_bias(events: int, device: torch.device) -> Tensor:
    """What keeps attention off later tokens, 1 x 1 x S x S: -inf there and 0 elsewhere. CLS comes
    before all events."""
    never = torch.full((events + 1, events + 1), float("-inf"), device=device)
    return never.triu(1)[None, None]


def padding_bias(real_BL: Tensor) -> Tensor:
    """What keeps attention off padding, B x 1 x 1 x S: -inf there and 0 elsewhere."""
    padded_BS = ~with_cls(real_BL)
    return torch.zeros_like(padded_BS, dtype=torch.float32).masked_fill(padded_BS, float("-inf"))[
        :, None, None, :
    ]


def time_angles(batch: Batch, head: int) -> Tensor:
    """The angle of each token in time, B x 1 x S x P, for P periods of a second to a day.

    Rotary positions (Su et al. 2021) with seconds since the window's first event in place of an
    index. A hidden gap counts as none, so that the time of a masked event cannot be read off; CLS
    stands at 0. `head` is E.
    """
    batch = shown(batch)
    # In double precision: single blurs the shortest periods in windows of a day or more.
    gap_BL = batch.gap_seconds_BL.double().masked_fill(hidden(batch, GAP), 0.0)
    # The first gap lies before the window; 2 zeros are CLS and the first event.
    seconds_BS = F.pad(gap_BL[:, 1:].cumsum(1), (2, 0))
    share_P = torch.linspace(0.0, 1.0, head // 2, device=gap_BL.device, dtype=torch.float64)
    period_P = _SHORTEST_SECONDS * (_LONGEST_SECONDS / _SHORTEST_SECONDS) ** share_P
    angle_BSP = 2 * math.pi * (seconds_BS.unsqueeze(-1) / period_P)
    return angle_BSP.remainder(2 * math.pi).unsqueeze(1)


def turned(x_BHSE: Tensor, angle_B1SP: Tensor) -> Tensor:
    """The same vectors with each pair of entries, p and p + P, turned by its angle."""
    cos, sin = angle_B1SP.cos().to(x_BHSE.dtype), angle_B1SP.sin().to(x_BHSE.dtype)
    first, second = x_BHSE.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
