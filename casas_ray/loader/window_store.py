"""A window store: windows as resident records, ready to be copied into batches."""

# N windows of the store, K captions of all of them, B windows of a batch, L events of the longest
# window; in `vectors_NT`, N texts of the set and T size of a text vector

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

    All that is known of an event lies in one record and the records of a window one after another,
    so that a window is one copy, whatever its length.
    """

    fields: tuple[str, ...]
    events: NDArray[np.void]
    """One record an event, window after window, and a window's length of PAD at the end."""

    first_record_N: NDArray[np.int64]
    """For each window the index of its first record."""

    length_N: NDArray[np.int16]
    """Events of each window."""

    first_event_N: NDArray[np.int64]
    """For each window the index of its first event among all events of the set, or -1."""

    captions_K: NDArray[np.int32]
    """Caption ids, window after window."""

    first_caption_N: NDArray[np.int64]
    """For each window the index of its first caption id."""

    caption_count_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length_N)

    @classmethod
    def of(cls, table: pa.Table) -> "WindowStore":
        """The store of a table's windows (see corpus.alignment)."""
        fields = tuple(
            name.removeprefix(FIELD_PREFIX)
            for name in table.column_names
            if name.startswith(FIELD_PREFIX)
        )
        length_N = table.column("length").to_numpy()
        counts_N = lengths(table, "captions")
        return cls(
            fields=fields,
            events=_records(table, fields, int(length_N.max(initial=1))),
            # int64: lengths are int16, and their sum is soon more than that holds.
            first_record_N=np.cumsum(length_N, dtype=np.int64) - length_N,
            length_N=length_N,
            first_event_N=table.column("first_event").to_numpy(),
            captions_K=flat(table, "captions"),
            first_caption_N=np.cumsum(counts_N) - counts_N,
            caption_count_N=counts_N,
        )

    def training_batch(
        self,
        rows_B: NDArray[np.int64],
        vectors_NT: Tensor,
        masking: MaskingConfig,
        streams: RandomStreams,
        *,
        longest: int,
        progress: float = 1.0,
    ) -> Batch:
        """The windows at these rows, each with one of its captions and a mask, all drawn by
        address; padded to `longest` events, the longest of the batch over all workers."""
        chosen_B = streams.choice(Stream.CAPTION, self.caption_count_N[rows_B])
        records_BL = self.records(rows_B, longest)
        changes_BL = self._room_changes(records_BL) if masking.start == "transitions" else None
        masks = draw_masks(
            self.length_N[rows_B],
            longest,
            masking,
            streams,
            progress=progress,
            changes_BL=changes_BL,
        )
        return self._batch(rows_B, records_BL, chosen_B, vectors_NT, masks, streams)

    def _room_changes(self, records_BL: NDArray[np.void]) -> NDArray[np.bool_]:
        room_BL = records_BL["ids"][..., self.fields.index("room")]
        return np.diff(room_BL, axis=1, prepend=room_BL[:, :1]) != 0

    def fixed_batch(
        self,
        rows_B: NDArray[np.int64],
        vectors_NT: Tensor,
        masked_BL: NDArray[np.bool_] | None = None,
    ) -> Batch:
        """The windows at these rows with their first caption and without dropout; nothing is masked
        unless `masked_BL` is given."""
        longest = self.longest(rows_B)
        masks = Masks.none(len(rows_B), longest) if masked_BL is None else Masks(masked_BL)
        records_BL = self.records(rows_B, longest)
        return self._batch(rows_B, records_BL, np.zeros_like(rows_B), vectors_NT, masks, None)

    def longest(self, rows_B: NDArray[np.int64]) -> int:
        """The events of the longest of these windows."""
        return int(self.length_N[rows_B].max())

    def records(self, rows_B: NDArray[np.int64], longest: int) -> NDArray[np.void]:
        """The events of these windows, B x `longest`, PAD after each window's end."""
        size = self.events.itemsize
        raw = self.events.view(np.uint8)
        # The last window that can start here ends with the store: one more would read beyond it,
        # for `as_strided` checks nothing. So there is a window's length of PAD at the end.
        count = len(self.events) - longest + 1
        windows = as_strided(raw, shape=(count, longest * size), strides=(size, 1))
        # Rows of an array as index make a copy; without one, PAD would be written into the store.
        records_BL = windows[self.first_record_N[rows_B]].view(self.events.dtype)
        if (length_B := self.length_N[rows_B]).min() < longest:
            records_BL[np.arange(longest) >= length_B[:, None]] = self._pad
        return records_BL

    def _spans(self, rows_B: NDArray[np.int64]) -> NDArray[np.int64]:
        """B x 2: first event and the one after the last, among all events of the set."""
        first_B = self.first_event_N[rows_B]
        after_B = np.where(first_B < 0, first_B, first_B + self.length_N[rows_B])
        return np.stack([first_B, after_B], axis=1)

    @cached_property
    def _pad(self) -> np.void:
        return self.events[-1]

    def _batch(
        self,
        rows_B: NDArray[np.int64],
        records_BL: NDArray[np.void],
        chosen_B: NDArray[np.int64],
        vectors_NT: Tensor,
        masks: Masks,
        dropout: RandomStreams | None,
    ) -> Batch:
        to = functools.partial(_moved, device=vectors_NT.device)
        caption_B = to(self.captions_K[self.first_caption_N[rows_B] + chosen_B])
        real_BL = np.arange(records_BL.shape[1]) < self.length_N[rows_B, None]
        tokens = np.pad(real_BL, ((0, 0), (1, 0)), constant_values=True)
        return Batch(
            fields=self.fields,
            ids_BLF=to(records_BL["ids"].astype(np.int32)),
            gap_seconds_BL=to(records_BL["gap_seconds"]),
            xy_BL2=to(records_BL["xy"]),
            real_BL=to(real_BL),
            sensor_text_BL=to(records_BL["sensor_text"]),
            vectors_NT=vectors_NT,
            text_BT=vectors_NT[caption_B],
            caption_B=caption_B,
            span_B2=to(self._spans(rows_B)),
            masked_BL=to(masks.masked_BL),
            asked_M=to(np.flatnonzero(masks.masked_BL)),
            tokens_R=None if real_BL.all() else to(np.flatnonzero(tokens)),
            hidden_BLG=None if masks.hidden_BLG is None else to(masks.hidden_BLG),
            shown_BL=None if masks.shown_BL is None else to(masks.shown_BL),
            dropout=dropout,
        )


def _moved(values: NDArray[Any], *, device: torch.device) -> Tensor:  # Any: of any element type
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    # From pinned memory a copy needs nobody to wait for it.
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def _records(table: pa.Table, fields: Sequence[str], longest: int) -> NDArray[np.void]:
    gaps = flat(table, "gap_seconds")
    # Numbers first, so that they stay where a device wants them, at multiples of four.
    # Little-endian and without gaps, since a batch is cut from the bytes.
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
    for column, field in enumerate(fields):
        real["ids"][:, column] = flat(table, FIELD_PREFIX + field)
    real["xy"][:, 0], real["xy"][:, 1] = flat(table, "x"), flat(table, "y")
    events["ids"][len(gaps) :] = PAD
    events["xy"][len(gaps) :] = np.nan
    return events
