"""A batch: some windows of a shard, as tensors."""

# B windows of the batch on this worker, L events of the longest window, T size of a text vector

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import MaskingConfig
from casas_ray.corpus.alignment import FIELD_PREFIX, matrix
from casas_ray.model.draws import Draws, Site
from casas_ray.model.masking import span_mask


@dataclass(frozen=True)
class Batch:
    """B windows and one caption vector for each."""

    ids: Mapping[str, Tensor]
    """By field, B x L, int32; PAD is 0."""

    gap_seconds_BL: Tensor
    xy_BL2: Tensor
    """NaN where a sensor's position is unknown."""

    real_BL: Tensor
    """False on padding."""

    text_BT: Tensor
    caption_B: Tensor
    """Caption ids: equal ids are equal captions."""

    masked_BL: Tensor
    """True where the encoder must not see the event."""

    dropout: Draws | None
    """What dropout is drawn from; None turns it off."""

    def __len__(self) -> int:
        return len(self.caption_B)


@dataclass(frozen=True)
class Shard:
    """Windows as resident columns, ready to be indexed into batches."""

    ids: Mapping[str, NDArray[np.int16]]
    gap_seconds: NDArray[np.float32]
    xy: NDArray[np.float32]
    length: NDArray[np.int16]
    captions: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.length)

    @classmethod
    def of(cls, table: pa.Table) -> "Shard":
        """The columns of a table of windows (see corpus.alignment)."""
        fields = [name for name in table.column_names if name.startswith(FIELD_PREFIX)]
        gaps = matrix(table, "gap_seconds")
        return cls(
            ids={name.removeprefix(FIELD_PREFIX): matrix(table, name) for name in fields},
            gap_seconds=gaps,
            xy=matrix(table, "xy").reshape(*gaps.shape, 2),
            length=table.column("length").to_numpy(),
            captions=matrix(table, "captions"),
        )

    def training_batch(
        self, rows: NDArray[np.int64], vectors: Tensor, masking: MaskingConfig, draws: Draws
    ) -> Batch:
        """The windows at `rows`, each with one of its captions and a span mask, all drawn by
        address."""
        chosen = draws.choice(Site.CAPTION, self.captions.shape[1])
        masked = span_mask(self.length[rows], self.longest, masking, draws)
        return self._batch(rows, chosen, vectors, masked, draws)

    def fixed_batch(
        self, rows: NDArray[np.int64], vectors: Tensor, masked: NDArray[np.bool_] | None = None
    ) -> Batch:
        """The windows at `rows` with their first caption, unmasked unless told, without dropout."""
        if masked is None:
            masked = np.zeros((len(rows), self.longest), dtype=bool)
        return self._batch(rows, np.zeros_like(rows), vectors, masked, None)

    @property
    def longest(self) -> int:
        """Events in the longest window of the set."""
        return self.gap_seconds.shape[1]

    def _batch(
        self,
        rows: NDArray[np.int64],
        chosen: NDArray[np.int64],
        vectors: Tensor,
        masked: NDArray[np.bool_],
        dropout: Draws | None,
    ) -> Batch:
        device = vectors.device
        captions = torch.from_numpy(self.captions[rows, chosen]).to(device)
        real = np.arange(self.longest) < self.length[rows, None]
        return Batch(
            ids={field: _int(ids[rows], device) for field, ids in self.ids.items()},
            gap_seconds_BL=torch.from_numpy(self.gap_seconds[rows]).to(device),
            xy_BL2=torch.from_numpy(self.xy[rows]).to(device),
            real_BL=torch.from_numpy(real).to(device),
            text_BT=vectors[captions],
            caption_B=captions,
            masked_BL=torch.from_numpy(masked).to(device),
            dropout=dropout,
        )


def _int(ids: NDArray[np.int16], device: torch.device) -> Tensor:
    return torch.from_numpy(ids).to(device=device, dtype=torch.int32)
