"""A batch: some windows of a shard, as tensors."""

# B windows of the batch on this worker, L events of the longest window, F fields, T size of a text
# vector

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import MaskingConfig
from casas_ray.corpus.alignment import FIELD_PREFIX, flat, lengths
from casas_ray.corpus.vocab import PAD
from casas_ray.model.draws import Draws, Site
from casas_ray.model.masking import span_mask


@dataclass(frozen=True)
class Batch:
    """B windows and one caption vector for each."""

    fields: tuple[str, ...]

    ids_BLF: Tensor
    """int32; PAD is 0."""

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

    @property
    def ids(self) -> dict[str, Tensor]:
        """By field, B x L."""
        return dict(zip(self.fields, self.ids_BLF.unbind(-1), strict=True))


@dataclass(frozen=True)
class Shard:
    """Windows as resident records, ready to be copied into batches.

    All that is known of an event lies in one record and the records of a window in one row, so that
    a window is one copy, whatever its length.
    """

    fields: tuple[str, ...]
    events: NDArray[np.void]
    """One record an event, window after window, and a window's length of PAD at the end."""

    first: NDArray[np.int64]
    """For each window its first record."""

    length: NDArray[np.int16]
    captions: NDArray[np.int32]
    """Caption ids, window after window."""

    first_caption: NDArray[np.int64]
    caption_count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length)

    @classmethod
    def of(cls, table: pa.Table) -> "Shard":
        """The windows of a table (see corpus.alignment)."""
        fields = tuple(
            name.removeprefix(FIELD_PREFIX)
            for name in table.column_names
            if name.startswith(FIELD_PREFIX)
        )
        length = table.column("length").to_numpy()
        counts = lengths(table, "captions")
        return cls(
            fields=fields,
            events=_records(table, fields, int(length.max(initial=1))),
            first=np.cumsum(length, dtype=np.int64) - length,
            length=length,
            captions=flat(table, "captions"),
            first_caption=np.cumsum(counts) - counts,
            caption_count=counts,
        )

    def training_batch(
        self,
        rows: NDArray[np.int64],
        vectors: Tensor,
        masking: MaskingConfig,
        draws: Draws,
        *,
        longest: int,
    ) -> Batch:
        """The windows at `rows`, each with one of its captions and a span mask, all drawn by
        address; padded to `longest` events, the longest of the batch over all workers."""
        chosen = draws.choice(Site.CAPTION, self.caption_count[rows])
        masked = span_mask(self.length[rows], longest, masking, draws)
        return self._batch(rows, chosen, vectors, masked, draws)

    def fixed_batch(
        self, rows: NDArray[np.int64], vectors: Tensor, masked: NDArray[np.bool_] | None = None
    ) -> Batch:
        """The windows at `rows` with their first caption, unmasked unless told, without dropout."""
        if masked is None:
            masked = np.zeros((len(rows), self.longest(rows)), dtype=bool)
        return self._batch(rows, np.zeros_like(rows), vectors, masked, None)

    def longest(self, rows: NDArray[np.int64]) -> int:
        """Events in the longest of these windows."""
        return int(self.length[rows].max())

    def records(self, rows: NDArray[np.int64], longest: int) -> NDArray[np.void]:
        """The events of these windows, B x `longest`, PAD after each window's end."""
        size = self.events.itemsize
        raw = self.events.view(np.uint8)
        count = len(self.events) - longest + 1
        windows = as_strided(raw, shape=(count, longest * size), strides=(size, 1))
        found = windows[self.first[rows]].view(self.events.dtype)
        if (length := self.length[rows]).min() < longest:
            found[np.arange(longest) >= length[:, None]] = self._pad
        return found

    @cached_property
    def _pad(self) -> np.void:
        return self.events[-1]

    def _batch(
        self,
        rows: NDArray[np.int64],
        chosen: NDArray[np.int64],
        vectors: Tensor,
        masked: NDArray[np.bool_],
        dropout: Draws | None,
    ) -> Batch:
        device = vectors.device
        longest = masked.shape[1]
        found = self.records(rows, longest)
        captions = torch.from_numpy(self.captions[self.first_caption[rows] + chosen]).to(device)
        real = np.arange(longest) < self.length[rows, None]
        return Batch(
            fields=self.fields,
            ids_BLF=torch.from_numpy(found["ids"]).to(device=device, dtype=torch.int32),
            gap_seconds_BL=torch.from_numpy(found["gap_seconds"]).to(device),
            xy_BL2=torch.from_numpy(found["xy"]).to(device),
            real_BL=torch.from_numpy(real).to(device),
            text_BT=vectors[captions],
            caption_B=captions,
            masked_BL=torch.from_numpy(masked).to(device),
            dropout=dropout,
        )


def _records(table: pa.Table, fields: Sequence[str], longest: int) -> NDArray[np.void]:
    gaps = flat(table, "gap_seconds")
    # Numbers first, so that they stay where a device wants them, at multiples of four.
    even = len(fields) + len(fields) % 2
    kind = np.dtype(
        {
            "names": ["gap_seconds", "xy", "ids"],
            "formats": ["<f4", ("<f4", 2), ("<i2", len(fields))],
            "offsets": [0, 4, 12],
            "itemsize": 12 + 2 * even,
        }
    )
    events = np.zeros(len(gaps) + longest, dtype=kind)
    real = events[: len(gaps)]
    real["gap_seconds"] = gaps
    for place, field in enumerate(fields):
        real["ids"][:, place] = flat(table, FIELD_PREFIX + field)
    real["xy"][:, 0], real["xy"][:, 1] = flat(table, "x"), flat(table, "y")
    events["ids"][len(gaps) :] = PAD
    events["xy"][len(gaps) :] = np.nan
    return events
