"""The event encoder: what happened, where and when, through a pre-norm transformer with ALiBi."""

# B windows, L events, S = L + 1 tokens (CLS first), W width, H heads, K Fourier features

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import ModelConfig
from casas_ray.corpus.vocab import MASK
from casas_ray.model.batch import Batch
from casas_ray.model.draws import Draws, Site

_SHORTEST_GAP_SECONDS, _LONGEST_GAP_SECONDS = 0.01, 86_400.0


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


class EventEmbedding(nn.Module):
    """Sum of one vector a field, one for the time gap's bin, and Fourier features of the
    position."""

    def __init__(self, config: ModelConfig, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.gap_bins = config.gap_bins
        # One table for all fields and the gap bins: a single fused look-up and sum.
        counts = [*sizes.values(), config.gap_bins + 1]
        offsets = torch.tensor([0, *counts[:-1]]).cumsum(0)
        self.offsets: Tensor
        self.register_buffer("offsets", offsets.to(torch.int32), persistent=False)
        self.table = nn.Parameter(torch.randn(sum(counts), config.width) * 0.02)
        bands = 2.0 ** torch.arange(config.fourier_bands) * math.pi
        self.bands: Tensor
        self.register_buffer("bands", bands, persistent=False)
        self.position = nn.Linear(4 * config.fourier_bands, config.width, bias=False)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, batch: Batch) -> Tensor:
        """B x L x W; a masked event shows MASK in every field, no gap and no position."""
        masked_BL = batch.masked_BL
        seen_BLF = batch.ids_BLF.masked_fill(masked_BL.unsqueeze(-1), MASK)
        gap_BL = self._gap_bin(batch.gap_seconds_BL).masked_fill(masked_BL, self.gap_bins)
        ids = torch.cat([seen_BLF, gap_BL.unsqueeze(-1)], dim=-1) + self.offsets
        x_BLW = F.embedding_bag(ids.view(-1, ids.shape[-1]), self.table, mode="sum")
        x_BLW = x_BLW.view(*masked_BL.shape, -1) + self._where(batch.xy_BL2, masked_BL)
        return self.norm(x_BLW)

    def _gap_bin(self, seconds_BL: Tensor) -> Tensor:
        low, high = math.log(_SHORTEST_GAP_SECONDS), math.log(_LONGEST_GAP_SECONDS)
        share = (seconds_BL.clamp(min=_SHORTEST_GAP_SECONDS).log() - low) / (high - low)
        return (share * self.gap_bins).clamp(0, self.gap_bins - 1).to(torch.int32)

    def _where(self, xy_BL2: Tensor, masked_BL: Tensor) -> Tensor:
        hidden = masked_BL.unsqueeze(-1) | xy_BL2.isnan()
        angle = (xy_BL2.nan_to_num(0.0).unsqueeze(-1) * self.bands).flatten(-2)
        hidden = hidden.repeat_interleave(len(self.bands), dim=-1)
        waves_BLK = torch.cat([angle.sin(), angle.cos()], dim=-1)
        waves_BLK = waves_BLK.masked_fill(torch.cat([hidden, hidden], dim=-1), 0.0)
        return self.position(waves_BLK.to(self.position.weight.dtype))


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

    def forward(self, x_BSW: Tensor, bias: Tensor, dropout: Dropout) -> Tensor:
        """The stream after one block, B x S x W."""
        x_BSW = x_BSW + dropout(self._attend(self.attention_norm(x_BSW), bias))
        fed = self.down(F.gelu(self.up(self.feed_norm(x_BSW)), approximate="tanh"))
        return x_BSW + dropout(fed)

    def _attend(self, x_BSW: Tensor, bias: Tensor) -> Tensor:
        size = (*x_BSW.shape[:2], 3, self.heads, -1)
        q, k, v = self.qkv(x_BSW).view(size).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.out(attended.transpose(1, 2).reshape(x_BSW.shape))


class EventEncoder(nn.Module):
    """Windows of events to one vector a token; the first token is CLS."""

    def __init__(self, config: ModelConfig, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.embedding = EventEmbedding(config, sizes)
        self.cls = nn.Parameter(torch.randn(config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, batch: Batch) -> Tensor:
        """B x S x W, CLS first."""
        dropout = Dropout(self.config.dropout, batch.dropout)
        events_BLW = self.embedding(batch)
        cls = self.cls.expand(len(batch), 1, -1)
        x_BSW = dropout(torch.cat([cls, events_BLW], dim=1))
        bias = attention_bias(batch.real_BL, self.config.heads)
        for block in self.blocks:
            x_BSW = block(x_BSW, bias, dropout)
        return self.norm(x_BSW)


def pooled(x_BSW: Tensor, real_BL: Tensor) -> Tensor:
    """Half CLS, half the mean over real events: B x W."""
    weight_BL1 = real_BL.unsqueeze(-1).to(x_BSW.dtype)
    mean_BW = (x_BSW[:, 1:] * weight_BL1).sum(1) / weight_BL1.sum(1)
    return 0.5 * (x_BSW[:, 0] + mean_BW)


def attention_bias(real_BL: Tensor, heads: int) -> Tensor:
    """What is added to attention scores: distance times a slope a head, and -inf on padding.

    ALiBi (Press et al. 2022), symmetric; CLS is as near to every event as to itself. The shape is
    1 x H x S x S, or B x H x S x S where some window is padded.
    """
    places = torch.arange(real_BL.shape[1], device=real_BL.device)
    distance = (places[:, None] - places[None, :]).abs()
    slope = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=real_BL.device) / heads)
    bias = F.pad(-slope[:, None, None] * distance, (1, 0, 1, 0)).unsqueeze(0)
    if bool(real_BL.all()):
        return bias
    padded_BS = F.pad(~real_BL, (1, 0), value=False)
    return bias.masked_fill(padded_BS[:, None, None, :], float("-inf"))
