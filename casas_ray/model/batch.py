"""A batch: some windows of a shard, as tensors."""

# B windows of the batch on this worker, L events of the longest window, F fields, T size of a text
# vector

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import MaskingConfig
from casas_ray.corpus.alignment import FIELD_PREFIX, flat, lengths
from casas_ray.corpus.vocab import PAD
from casas_ray.model.draws import Draws, Site
from casas_ray.model.masking import Masks, draw_masks


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

    sensor_text_BL: Tensor
    """What the event's sensor is in words, as a row of `vectors_NT`."""

    vectors_NT: Tensor
    """The text model's vectors of all captions and descriptions of the set."""

    text_BT: Tensor
    caption_B: Tensor
    """Caption ids: equal ids are equal captions."""

    span_B2: Tensor
    """First event of the window and the one after its last, among all events of the set; -1 where
    nobody knows."""

    masked_BL: Tensor
    """True where an event is asked back."""

    asked_M: Tensor
    """Where that is, as places among B x L."""

    tokens_T: Tensor | None
    """The real tokens (CLS and events), as places among B x (1 + L); None where no window is
    padded. Both are found on the host, so that no step waits for its device to count."""

    hidden_BLG: Tensor | None
    """What of a masked event is hidden (see model.masking); None is everything."""

    shown_BL: Tensor | None
    """The place of the event that is seen in this one's place, -1 for MASK; None is MASK."""

    dropout: Draws | None
    """What dropout is drawn from; None turns it off."""

    def __len__(self) -> int:
        return len(self.caption_B)

    @property
    def ids(self) -> dict[str, Tensor]:
        """By field, B x L."""
        return dict(zip(self.fields, self.ids_BLF.unbind(-1), strict=True))

    def seen_as(self, **tensors: Tensor | None) -> "Batch":
        """The batch with some of its tensors replaced, and nothing shown in place of others."""
        changed: dict[str, Any] = {**tensors, "shown_BL": None}
        return dataclasses.replace(self, **changed)

    def piece(self, start: int, stop: int) -> "Batch":
        """Some of its windows, with the same masks and dropout as in the whole."""
        rows = slice(start, stop)
        tensors = {
            field.name: value[rows]
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor) and field.name not in _WHOLE
        }
        places: dict[str, Any] = {
            "asked_M": _places(tensors["masked_BL"]),
            "tokens_T": None if self.tokens_T is None else _places(with_cls(tensors["real_BL"])),
        }
        dropout = self.dropout.part(start, stop) if self.dropout else None
        return dataclasses.replace(self, **tensors, **places, dropout=dropout)


_WHOLE = ("vectors_NT", "asked_M", "tokens_T")


def with_cls(real_BL: Tensor) -> Tensor:
    """B x (1 + L): the tokens that are real, CLS always."""
    return F.pad(real_BL, (1, 0), value=True)


def _places(flags: Tensor) -> Tensor:
    return flags.flatten().nonzero().squeeze(1)


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
    event: NDArray[np.int64]
    """For each window the place of its first event among all events of the set, or -1."""

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
        draws: Draws,
        *,
        longest: int,
        progress: float = 1.0,
    ) -> Batch:
        """The windows at `rows`, each with one of its captions and a mask, all drawn by address;
        padded to `longest` events, the longest of the batch over all workers."""
        chosen = draws.choice(Site.CAPTION, self.caption_count[rows])
        found = self.records(rows, longest)
        changes = self._room_changes(found) if masking.start == "transitions" else None
        masks = draw_masks(
            self.length[rows], longest, masking, draws, progress=progress, changes_BL=changes
        )
        return self._batch(rows, found, chosen, vectors, masks, draws)

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
        dropout: Draws | None,
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
