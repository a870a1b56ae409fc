"""From what is known of an event to one vector: fields, the gap in bins, the position in waves."""

# B windows, L events, F fields of the data, C columns of the look-up (fields and the gap), G groups
# of fields that are hidden together, W width, K Fourier features of one kind, N texts of the set, D
# texts that the batch needs, T size of a text vector

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import ModelConfig
from casas_ray.corpus.vocab import MASK
from casas_ray.errors import SettingsError
from casas_ray.loader.batch import Batch
from casas_ray.loader.masking import group_of

_SHORTEST_GAP_SECONDS, _LONGEST_GAP_SECONDS = 0.01, 86_400.0  # a day: also what harmonics divide
GAP, POSITION = "gap", "position"


def chosen_fields(config: ModelConfig, known: Sequence[str]) -> tuple[str, ...]:
    """The fields of the data that the encoder sees.

    Raises:
        SettingsError: one that was asked for is not in the data, or none is left.
    """
    wanted = config.fields or (*known, GAP, POSITION)
    absent = sorted(set(wanted) - {*known, GAP, POSITION})
    if absent:
        raise SettingsError(
            f"model.fields asks for {', '.join(absent)}, which this data does not have.",
            hint=f"it has {', '.join(known)}, and {GAP} and {POSITION}.",
        )
    chosen = tuple(field for field in known if field in wanted)
    if not chosen:
        raise SettingsError(
            "model.fields leaves the encoder no field of the vocabulary.",
            hint=f"name one of {', '.join(known)}.",
        )
    return chosen


class EventEmbedding(nn.Module):
    """The sum of one vector a field, one for the time gap's bin, and Fourier features of the
    position."""

    def __init__(self, config: ModelConfig, sizes: Mapping[str, int], text_size: int) -> None:
        super().__init__()
        self.fields = chosen_fields(config, tuple(sizes))
        looked_up = [field for field in self.fields if field != "sensor" or not config.sensor_text]
        # Parameters are drawn from one generator: in another order a seed has other weights.
        if config.sensor_text:
            self.describe = nn.Linear(text_size, config.width)
            self.no_sensor = nn.Parameter(torch.randn(config.width) * 0.02)
        self.describes = config.sensor_text
        self.gap_bins = config.gap_bins
        self.sees_gap = not config.fields or GAP in config.fields
        self.sees_position = not config.fields or POSITION in config.fields
        # One table for all fields and the gap bins: a single fused look-up and sum.
        counts = [sizes[field] for field in looked_up]
        counts += [config.gap_bins + 1] if self.sees_gap else []  # one more for a hidden gap
        offsets_C = torch.tensor([0, *counts[:-1]]).cumsum(0)
        # Not persistent: buffers follow from the recipe, and checkpoints hold weights only.
        self.offsets: Tensor
        self.register_buffer("offsets", offsets_C.to(torch.int32), persistent=False)
        columns = torch.tensor([list(sizes).index(field) for field in looked_up])
        self.columns: Tensor
        self.register_buffer("columns", columns, persistent=False)
        groups = torch.tensor([group_of(field) for field in looked_up])
        self.groups: Tensor
        self.register_buffer("groups", groups, persistent=False)
        self.sees_all = len(looked_up) == len(sizes)
        self.table = nn.Parameter(torch.randn(sum(counts), config.width) * 0.02)
        bands = 2.0 ** torch.arange(config.fourier_bands) * math.pi
        self.bands: Tensor
        self.register_buffer("bands", bands, persistent=False)
        self.position = nn.Linear(4 * config.fourier_bands, config.width, bias=False)
        self.norm = nn.LayerNorm(config.width)
        self.harmonics = config.time_harmonics
        if config.time_harmonics:
            columns = 2 * config.time_harmonics + self.sees_gap
            self.numbers = nn.Linear(columns, config.width, bias=False)

    def forward(self, batch: Batch) -> Tensor:
        """The events, B x L x W; what is hidden of one shows MASK, no gap and no position."""
        batch = shown(batch)
        ids_BLC = batch.ids_BLF if self.sees_all else batch.ids_BLF[..., self.columns]
        columns = [ids_BLC.masked_fill(self._hides(batch), MASK)]
        if self.sees_gap:
            bin_BL = self._gap_bin(batch.gap_seconds_BL)
            columns.append(bin_BL.masked_fill(hidden(batch, GAP), self.gap_bins).unsqueeze(-1))
        ids_BLC = torch.cat(columns, dim=-1) + self.offsets
        x_BLW = F.embedding_bag(ids_BLC.view(-1, ids_BLC.shape[-1]), self.table, mode="sum")
        x_BLW = x_BLW.view(*batch.masked_BL.shape, -1)
        if self.sees_position:
            x_BLW = x_BLW + self._located(batch.xy_BL2, hidden(batch, POSITION))
        if self.describes:
            x_BLW = x_BLW + self._described(batch)
        if self.harmonics:
            x_BLW = x_BLW + self._timed(batch)
        return self.norm(x_BLW)

    def _timed(self, batch: Batch) -> Tensor:
        """The time of day on circles and the gap as a number, projected, B x L x W; 0 where
        hidden."""
        angle_BL1 = (batch.day_seconds_BL * (2 * math.pi / _LONGEST_GAP_SECONDS)).unsqueeze(-1)
        turns = torch.arange(1, self.harmonics + 1, device=angle_BL1.device)
        angle_BLK = angle_BL1 * turns
        numbers = torch.cat([angle_BLK.sin(), angle_BLK.cos()], dim=-1)
        numbers = numbers.masked_fill(hidden(batch, "time_of_day").unsqueeze(-1), 0.0)
        if self.sees_gap:
            gap_BL = batch.gap_seconds_BL.clamp(0.0, _LONGEST_GAP_SECONDS).log1p()
            gap_BL = (gap_BL / math.log1p(_LONGEST_GAP_SECONDS)).masked_fill(hidden(batch, GAP), 0)
            numbers = torch.cat([numbers, gap_BL.unsqueeze(-1)], dim=-1)
        return self.numbers(numbers.to(self.numbers.weight.dtype))

    def _described(self, batch: Batch) -> Tensor:
        """What sensors are in words, B x L x W."""
        # Few descriptions, many events: each is projected once a batch.
        texts_D, index_BL = batch.sensor_text_BL.unique(return_inverse=True)
        # The text model's vectors are of length 5 or so; the tables' are far shorter.
        unit_DT = F.normalize(batch.vectors_NT[texts_D], dim=-1)
        words_BLW = self.describe(unit_DT)[index_BL]
        hides_BL1 = hidden(batch, "sensor").unsqueeze(-1)
        return torch.where(hides_BL1, self.no_sensor.to(words_BLW.dtype), words_BLW)

    def _hides(self, batch: Batch) -> Tensor:
        """B x L x C, or x 1 where all fields are hidden together."""
        if batch.hidden_BLG is None:
            return batch.masked_BL.unsqueeze(-1)
        return batch.hidden_BLG[..., self.groups]

    def _gap_bin(self, seconds_BL: Tensor) -> Tensor:
        """Bins of equal width in the logarithm of the gap, B x L."""
        low, high = math.log(_SHORTEST_GAP_SECONDS), math.log(_LONGEST_GAP_SECONDS)
        # Two events of one moment have no gap, and 0 has no logarithm.
        share_BL = (seconds_BL.clamp(min=_SHORTEST_GAP_SECONDS).log() - low) / (high - low)
        return (share_BL * self.gap_bins).clamp(0, self.gap_bins - 1).to(torch.int32)

    def _located(self, xy_BL2: Tensor, hidden_BL: Tensor) -> Tensor:
        """Fourier features of positions, projected, B x L x W; 0 where there is none."""
        nowhere_BL2 = hidden_BL.unsqueeze(-1) | xy_BL2.isnan()
        angle_BLK = (xy_BL2.nan_to_num(0.0).unsqueeze(-1) * self.bands).flatten(-2)
        nowhere_BLK = nowhere_BL2.repeat_interleave(len(self.bands), dim=-1)
        waves = torch.cat([angle_BLK.sin(), angle_BLK.cos()], dim=-1)
        # The cosine of no position is 1: without this, a hidden event would stand in the corner.
        waves = waves.masked_fill(torch.cat([nowhere_BLK, nowhere_BLK], dim=-1), 0.0)
        return self.position(waves.to(self.position.weight.dtype))


def hidden(batch: Batch, field: str) -> Tensor:
    """Where a field must not be seen, B x L."""
    if batch.hidden_BLG is None:
        return batch.masked_BL
    return batch.hidden_BLG[..., group_of(field)]


def shown(batch: Batch) -> Batch:
    """The batch as the encoder sees it where some masked events show an event instead of MASK."""
    if batch.shown_BL is None:
        return batch
    replaced_BL = batch.masked_BL & (batch.shown_BL >= 0)
    index_L = torch.arange(batch.shown_BL.shape[1], device=batch.shown_BL.device)
    source_BL = torch.where(replaced_BL, batch.shown_BL, index_L)
    hidden_BLG = batch.hidden_BLG

    def moved(values: Tensor) -> Tensor:
        index = source_BL.view(*source_BL.shape, *[1] * (values.ndim - 2)).expand_as(values)
        return values.gather(1, index)

    # `asked_M` stays as it was: an event that shows another, or itself, is asked back all the same.
    return batch.seen_as(
        ids_BLF=moved(batch.ids_BLF),
        sensor_text_BL=moved(batch.sensor_text_BL),
        day_seconds_BL=moved(batch.day_seconds_BL),
        gap_seconds_BL=moved(batch.gap_seconds_BL),
        xy_BL2=moved(batch.xy_BL2),
        masked_BL=batch.masked_BL & ~replaced_BL,
        hidden_BLG=None if hidden_BLG is None else hidden_BLG & ~replaced_BL.unsqueeze(-1),
    )
