"""A shard: windows as resident records, ready to be copied into batches."""

# B windows of a batch, L events of the longest window

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import MaskingConfig
from casas_ray.corpus.alignment import FIELD_PREFIX, flat, lengths
from casas_ray.corpus.vocab import PAD
from casas_ray.loader.batch import Batch
from casas_ray.loader.masking import Masks, draw_masks
from casas_ray.loader.streams import RandomStreams, Stream


@dataclass(frozen=True)
class WindowStore:
    """The windows that a worker holds.

    All that is known of an event lies in one record and the records of a window in one row, so that
    a window is one copy, whatever its length.
    """

    fields: tuple[str, ...]
    events: NDArray[np.void]
    """One record an event, window after window, and a window's length of PAD at the end."""

    first: NDArray[np.int64]
    """For each window its first record."""

    length: NDArray[np.int16]
    event: NDArray[np.int64]
    """For each window the place of its first event among all events of the set, or -1."""

    captions: NDArray[np.int32]
    """Caption ids, window after window."""

    first_caption: NDArray[np.int64]
    caption_count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length)

    @classmethod
    def of(cls, table: pa.Table) -> "WindowStore":
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
            event=table.column("first_event").to_numpy(),
            captions=flat(table, "captions"),
            first_caption=np.cumsum(counts) - counts,
            caption_count=counts,
        )

    def training_batch(
        self,
        rows: NDArray[np.int64],
        vectors: Tensor,
        masking: MaskingConfig,
        streams: RandomStreams,
        *,
        longest: int,
        progress: float = 1.0,
    ) -> Batch:
        """The windows at `rows`, each with one of its captions and a mask, all drawn by address;
        padded to `longest` events, the longest of the batch over all workers."""
        chosen = streams.choice(Stream.CAPTION, self.caption_count[rows])
        found = self.records(rows, longest)
        changes = self._room_changes(found) if masking.start == "transitions" else None
        masks = draw_masks(
            self.length[rows], longest, masking, streams, progress=progress, changes_BL=changes
        )
        return self._batch(rows, found, chosen, vectors, masks, streams)

    def _room_changes(self, found: NDArray[np.void]) -> NDArray[np.bool_]:
        room = found["ids"][..., self.fields.index("room")]
        return np.diff(room, axis=1, prepend=room[:, :1]) != 0

    def fixed_batch(
        self, rows: NDArray[np.int64], vectors: Tensor, masked: NDArray[np.bool_] | None = None
    ) -> Batch:
        """The windows at `rows` with their first caption, unmasked unless told, without dropout."""
        longest = self.longest(rows)
        masks = Masks.none(len(rows), longest) if masked is None else Masks(masked)
        found = self.records(rows, longest)
        return self._batch(rows, found, np.zeros_like(rows), vectors, masks, None)

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

    def _spans(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        first = self.event[rows]
        after = np.where(first < 0, first, first + self.length[rows])
        return np.stack([first, after], axis=1)

    @cached_property
    def _pad(self) -> np.void:
        return self.events[-1]

    def _batch(
        self,
        rows: NDArray[np.int64],
        found: NDArray[np.void],
        chosen: NDArray[np.int64],
        vectors: Tensor,
        masks: Masks,
        dropout: RandomStreams | None,
    ) -> Batch:
        to = functools.partial(_moved, device=vectors.device)
        captions = to(self.captions[self.first_caption[rows] + chosen])
        real = np.arange(found.shape[1]) < self.length[rows, None]
        tokens = np.pad(real, ((0, 0), (1, 0)), constant_values=True)
        return Batch(
            fields=self.fields,
            ids_BLF=to(found["ids"].astype(np.int32)),
            gap_seconds_BL=to(found["gap_seconds"]),
            xy_BL2=to(found["xy"]),
            real_BL=to(real),
            sensor_text_BL=to(found["sensor_text"]),
            vectors_NT=vectors,
            text_BT=vectors[captions],
            caption_B=captions,
            span_B2=to(self._spans(rows)),
            masked_BL=to(masks.masked),
            asked_M=to(np.flatnonzero(masks.masked)),
            tokens_T=None if real.all() else to(np.flatnonzero(tokens)),
            hidden_BLG=None if masks.hidden is None else to(masks.hidden),
            shown_BL=None if masks.shown is None else to(masks.shown),
            dropout=dropout,
        )


def _moved(values: NDArray[Any], *, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    # From pinned memory a copy needs nobody to wait for it.
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def _records(table: pa.Table, fields: Sequence[str], longest: int) -> NDArray[np.void]:
    gaps = flat(table, "gap_seconds")
    # Numbers first, so that they stay where a device wants them, at multiples of four.
    even = len(fields) + len(fields) % 2
    kind = np.dtype(
        {
            "names": ["gap_seconds", "xy", "sensor_text", "ids"],
            "formats": ["<f4", ("<f4", 2), "<i4", ("<i2", len(fields))],
            "offsets": [0, 4, 12, 16],
            "itemsize": 16 + 2 * even,
        }
    )
    events = np.zeros(len(gaps) + longest, dtype=kind)
    real = events[: len(gaps)]
    real["gap_seconds"] = gaps
    real["sensor_text"] = flat(table, "sensor_text")
    for place, field in enumerate(fields):
        real["ids"][:, place] = flat(table, FIELD_PREFIX + field)
    real["xy"][:, 0], real["xy"][:, 1] = flat(table, "x"), flat(table, "y")
    events["ids"][len(gaps) :] = PAD
    events["xy"][len(gaps) :] = np.nan
    return events
