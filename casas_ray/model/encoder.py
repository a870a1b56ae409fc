"""The event encoder: a pre-norm transformer over a window's events, with order by ALiBi, by time or
by place."""

# B windows, L events, S = L + 1 tokens (CLS first), W width, H heads, E width of a head

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import ModelConfig
from casas_ray.model.batch import Batch
from casas_ray.model.draws import Draws, Site
from casas_ray.model.embedding import GAP, EventEmbedding, hidden, shown

PLACES = 512
"""Learned positions; events beyond share the last one."""

_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 86_400.0
"""Periods of rotary positions."""


class Dropout:
    """Dropout drawn by address; each use within a pass has its own numbers. Without draws, none."""

    def __init__(self, rate: float, draws: Draws | None) -> None:
        self.rate = rate
        self.draws = draws
        self.site = int(Site.DROPOUT)

    def __call__(self, x_BSW: Tensor) -> Tensor:
        """The tensor with whole numbers of its entries zeroed and the rest scaled up."""
        if self.draws is None or self.rate == 0.0:
            return x_BSW
        self.site += 1
        width = x_BSW[0].numel()
        scale = self.draws.keep_scale(self.site, width, dropout=self.rate, device=x_BSW.device)
        return x_BSW * scale.view_as(x_BSW).to(x_BSW.dtype)


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

    def forward(
        self, x_BSW: Tensor, bias: Tensor | None, turn: Tensor | None, dropout: Dropout
    ) -> Tensor:
        """The stream after one block, B x S x W."""
        x_BSW = x_BSW + dropout(self._attend(self.attention_norm(x_BSW), bias, turn))
        fed = self.down(F.gelu(self.up(self.feed_norm(x_BSW)), approximate="tanh"))
        return x_BSW + dropout(fed)

    def _attend(self, x_BSW: Tensor, bias: Tensor | None, turn: Tensor | None) -> Tensor:
        size = (*x_BSW.shape[:2], 3, self.heads, -1)
        q, k, v = self.qkv(x_BSW).view(size).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = turned(q, turn), turned(k, turn)
        bias = None if bias is None else bias.to(q.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(attended.transpose(1, 2).reshape(x_BSW.shape))


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
        """B x S x W, CLS first."""
        dropout = Dropout(self.config.dropout, batch.dropout)
        events_BLW = self.embedding(batch)
        if self.config.positions == "learned":
            events_BLW = events_BLW + self._places(events_BLW.shape[1])
        cls = self.cls.expand(len(batch), 1, -1).to(events_BLW.dtype)
        x_BSW = dropout(torch.cat([cls, events_BLW], dim=1))
        bias, turn = self._order(batch)
        for block in self.blocks:
            x_BSW = block(x_BSW, bias, turn, dropout)
        return self.norm(x_BSW)

    def _places(self, longest: int) -> Tensor:
        return self.places[torch.arange(longest, device=self.places.device).clamp(max=PLACES - 1)]

    def _order(self, batch: Batch) -> tuple[Tensor | None, Tensor | None]:
        """What is added to attention scores, and the angles that queries and keys are turned by."""
        if self.config.positions == "alibi":
            return attention_bias(batch.real_BL, self.config.heads), None
        turn = None
        if self.config.positions == "rotary":
            turn = time_angles(batch, self.config.width // self.config.heads)
        return padding_bias(batch.real_BL), turn


def attention_bias(real_BL: Tensor, heads: int) -> Tensor:
    """What is added to attention scores: distance times a slope a head, and -inf on padding.

    ALiBi (Press et al. 2022), symmetric; CLS is as near to every event as to itself. The shape is
    1 x H x S x S, or B x H x S x S where some window is padded.
    """
    places = torch.arange(real_BL.shape[1], device=real_BL.device)
    distance = (places[:, None] - places[None, :]).abs()
    slope = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=real_BL.device) / heads)
    bias = F.pad(-slope[:, None, None] * distance, (1, 0, 1, 0)).unsqueeze(0)
    padding = padding_bias(real_BL)
    return bias if padding is None else bias + padding


def padding_bias(real_BL: Tensor) -> Tensor | None:
    """B x 1 x 1 x S, -inf on padding; None where there is none."""
    if bool(real_BL.all()):
        return None
    padded_BS = F.pad(~real_BL, (1, 0), value=False)
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
