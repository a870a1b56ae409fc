"""The event encoder: a pre-norm transformer over a window's events, with order by ALiBi, by time or
by place."""

# B windows, L events, S = L + 1 tokens (CLS first), T real tokens of the batch, W width, H heads,
# E width of a head, U uses of dropout

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import CompileKind, ModelConfig
from casas_ray.loader.batch import Batch, with_cls
from casas_ray.loader.streams import keep_factor
from casas_ray.model.embedding import GAP, EventEmbedding, hidden, shown

PLACES = 512
"""Learned positions; events beyond share the last one."""

_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 86_400.0
"""Periods of rotary positions."""


@dataclass(frozen=True)
class Layout:
    """How T real tokens lie among B x S; attention alone needs them laid out."""

    windows: int
    tokens: int
    """S."""

    places_T: Tensor | None
    """None where T is B x S: no window is padded."""

    bias: Tensor | None
    """What is added to attention scores."""

    turn: Tensor | None
    """The angles that queries and keys are turned by."""

    def spread(self, x_TW: Tensor) -> Tensor:
        """B x S x W, 0 on padding."""
        if self.places_T is not None:
            empty = x_TW.new_zeros(self.windows * self.tokens, x_TW.shape[1])
            x_TW = empty.index_copy(0, self.places_T, x_TW)
        return x_TW.view(self.windows, self.tokens, -1)

    def packed(self, x_BSW: Tensor) -> Tensor:
        """T x W, without the padding."""
        flat = x_BSW.reshape(self.windows * self.tokens, -1)
        return flat if self.places_T is None else flat[self.places_T]


@dataclass(frozen=True)
class Dropout:
    """What dropout keeps of each of its uses within a pass, drawn by address beforehand."""

    kept_UTW: Tensor | None
    factor: float = 1.0

    def added(self, x_TW: Tensor, y_TW: Tensor, use: int) -> Tensor:
        """x + y with some entries of y left out and the others scaled up; in one pass."""
        if self.kept_UTW is None:
            return x_TW + y_TW
        return torch.addcmul(x_TW, y_TW, self._scale(use))

    def __call__(self, x_TW: Tensor, use: int) -> Tensor:
        """x with some entries left out and the others scaled up."""
        return x_TW if self.kept_UTW is None else x_TW * self._scale(use)

    def _scale(self, use: int) -> Tensor:
        assert self.kept_UTW is not None
        return self.kept_UTW[use].to(torch.float32).mul_(self.factor)


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

    def forward(self, x_TW: Tensor, layout: Layout, dropout: Dropout, use: int) -> Tensor:
        """The stream after one block, T x W; `use` numbers its first dropout."""
        attended = self._attend(self.attention_norm(x_TW), layout)
        x_TW = dropout.added(x_TW, attended, use)
        # The exact GELU: torch's tanh one took three times as long on a CPU (docs/findings.md).
        fed = self.down(F.gelu(self.up(self.feed_norm(x_TW))))
        return dropout.added(x_TW, fed, use + 1)

    def _attend(self, x_TW: Tensor, layout: Layout) -> Tensor:
        size = (layout.windows, layout.tokens, 3, self.heads, -1)
        parts = layout.spread(self.qkv(x_TW)).view(size).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)
        if layout.turn is not None:
            q, k = turned(q, layout.turn), turned(k, layout.turn)
        bias = None if layout.bias is None else layout.bias.to(q.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(layout.packed(attended.transpose(1, 2)))


class EventEncoder(nn.Module):
    """Windows of events to one vector a token; the first token is CLS."""

    def __init__(self, config: ModelConfig, sizes: Mapping[str, int], text_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = EventEmbedding(config, sizes, text_size)
        self.cls = nn.Parameter(torch.randn(config.width) * 0.02)
        if config.positions == "learned":
            self.places = nn.Parameter(torch.randn(PLACES, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, batch: Batch) -> Tensor:
        """B x S x W, CLS first; 0 on padding.

        Between the embedding and the end, padding is left out: a batch of short and long windows
        costs what its events cost.
        """
        events_BLW = self.embedding(batch)
        if self.config.positions == "learned":
            events_BLW = events_BLW + self._places(events_BLW.shape[1])
        cls = self.cls.expand(len(batch), 1, -1).to(events_BLW.dtype)
        x_BSW = torch.cat([cls, events_BLW], dim=1)
        layout = self._layout(batch)
        x_TW = self._through(layout.packed(x_BSW), layout, self._dropout(batch, layout))
        return layout.spread(x_TW)

    def _through(self, x_TW: Tensor, layout: Layout, dropout: Dropout) -> Tensor:
        x_TW = dropout(x_TW, 0)
        for place, block in enumerate(self.blocks):
            x_TW = block(x_TW, layout, dropout, 1 + 2 * place)
        return self.norm(x_TW)

    def compile_blocks(self, how: CompileKind) -> None:
        """Let `torch.compile` make the blocks' kernels, and CUDA graphs of them where asked."""
        if how != "off":
            mode = "reduce-overhead" if how == "cuda_graphs" else None
            self._through = torch.compile(self._through, mode=mode)

    def _dropout(self, batch: Batch, layout: Layout) -> Dropout:
        if batch.dropout is None or self.config.dropout == 0.0:
            return Dropout(None)
        rate, width = self.config.dropout, layout.tokens * self.config.width
        uses = 1 + 2 * len(self.blocks)
        kept = batch.dropout.kept(uses, width, dropout=rate, device=batch.real_BL.device)
        kept_UTW = kept.view(uses, -1, self.config.width)
        if layout.places_T is not None:
            kept_UTW = kept_UTW[:, layout.places_T]
        return Dropout(kept_UTW, keep_factor(rate))

    def _places(self, longest: int) -> Tensor:
        return self.places[torch.arange(longest, device=self.places.device).clamp(max=PLACES - 1)]

    def _layout(self, batch: Batch) -> Layout:
        padding = None if batch.tokens_T is None else padding_bias(batch.real_BL)
        bias, turn = padding, None
        if self.config.positions == "alibi":
            alibi = attention_bias(batch.real_BL.shape[1], self.config.heads, batch.real_BL.device)
            bias = alibi if padding is None else alibi + padding
        elif self.config.positions == "rotary":
            turn = time_angles(batch, self.config.width // self.config.heads)
        return Layout(len(batch), batch.real_BL.shape[1] + 1, batch.tokens_T, bias, turn)


def attention_bias(events: int, heads: int, device: torch.device) -> Tensor:
    """1 x H x S x S to add to attention scores: distance in events times a slope a head.

    ALiBi (Press et al. 2022), symmetric; CLS is as near to every event as to itself.
    """
    places = torch.arange(events, device=device)
    distance = (places[:, None] - places[None, :]).abs()
    slope = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=device) / heads)
    return F.pad(-slope[:, None, None] * distance, (1, 0, 1, 0)).unsqueeze(0)


def padding_bias(real_BL: Tensor) -> Tensor:
    """B x 1 x 1 x S, -inf on padding."""
    padded_BS = ~with_cls(real_BL)
    return torch.zeros_like(padded_BS, dtype=torch.float32).masked_fill(padded_BS, float("-inf"))[
        :, None, None, :
    ]


def time_angles(batch: Batch, head: int) -> Tensor:
    """B x 1 x S x E/2: the angle of each token in time, for periods of a second to a day.

    Rotary positions (Su et al. 2021) with seconds since the window's first event for the place. A
    hidden gap counts as none, so that the time of a masked event cannot be read off; CLS stands at
    0.
    """
    seen = shown(batch)
    gap_BL = seen.gap_seconds_BL.double().masked_fill(hidden(seen, GAP), 0.0)
    seconds_BS = F.pad(gap_BL[:, 1:].cumsum(1), (2, 0))
    exponents = torch.linspace(0.0, 1.0, head // 2, device=gap_BL.device, dtype=torch.float64)
    period = _SHORTEST_SECONDS * (_LONGEST_SECONDS / _SHORTEST_SECONDS) ** exponents
    return (2 * math.pi * (seconds_BS.unsqueeze(-1) / period)).remainder(2 * math.pi).unsqueeze(1)


def turned(x_BHSE: Tensor, angle_B1SE: Tensor) -> Tensor:
    """Each pair of entries turned by its angle."""
    cos, sin = angle_B1SE.cos().to(x_BHSE.dtype), angle_B1SE.sin().to(x_BHSE.dtype)
    one, two = x_BHSE.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)
