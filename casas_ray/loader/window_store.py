"""A window store: windows as resident records, ready to be copied into batches."""

# N windows of the store, K captions of all of them, B windows of a batch, L events of the longest
# window or, with context, of the longest chunk; in `vectors_NT`, N texts of the set and T size of a
# text vector

import dataclasses
import functools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import MaskingConfig, Recipe
from casas_ray.corpus.alignment import flat, lengths
from casas_ray.errors import SettingsError
from casas_ray.loader.batch import Batch
from casas_ray.loader.blocks import Blocks
from casas_ray.loader.counted import Counted
from casas_ray.loader.event_records import EventsOnce, Ints, fields_of, lengths_of, records_of
from casas_ray.loader.masking import Masks, draw_masks
from casas_ray.loader.streams import RandomStreams, Stream
from casas_ray.loader.surroundings import Surroundings


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

    around: Surroundings | None = None
    """None where the windows are read alone."""

    counted: Counted | None = None
    """What is counted of each window, where a loss asks for it."""

    blocks: Blocks | None = None
    """Windows that are trained on together, where a recipe does so."""

    def __len__(self) -> int:
        return len(self.length_N)

    @classmethod
    def of(cls, table: pa.Table) -> "WindowStore":
        """The store of a table's windows (see corpus.alignment), each read alone."""
        fields, length_N = fields_of(table), lengths_of(table)
        # int64: lengths are int16, and their sum is soon more than that holds.
        first_record_N = np.cumsum(length_N, dtype=np.int64) - length_N
        events = records_of(table, fields, int(length_N.max(initial=1)))
        return cls._of(table, fields, events, first_record_N)

    @classmethod
    def of_split(cls, table: pa.Table, recipe: Recipe) -> "WindowStore":
        """The store of all windows of one split, with as much around them as a recipe reads.

        Raises:
            SettingsError: nobody knows what is around them.
        """
        if not recipe.wants_whole_split:
            return cls.of(table)
        refuse_alone(table)
        context, fields = recipe.data.context, fields_of(table)
        padding = context.windows * int(lengths_of(table).max(initial=1))
        padding += context.before + context.after
        once = EventsOnce.of(table, fields, padding)
        store = cls._of(table, fields, once.events, once.first_record_N)
        return dataclasses.replace(store, around=Surroundings.of(once, fields, recipe))

    @classmethod
    def _of(
        cls,
        table: pa.Table,
        fields: tuple[str, ...],
        events: NDArray[np.void],
        first_record_N: Ints,
    ) -> "WindowStore":
        counts_N = lengths(table, "captions")
        return cls(
            fields=fields,
            events=events,
            first_record_N=first_record_N,
            length_N=lengths_of(table),
            first_event_N=table.column("first_event").to_numpy(),
            captions_K=flat(table, "captions"),
            first_caption_N=np.cumsum(counts_N) - counts_N,
            caption_count_N=counts_N,
        )

    def taken(self, rows: Ints) -> "WindowStore":
        """The windows at these rows, with all that is around them."""
        return dataclasses.replace(
            self,
            first_record_N=self.first_record_N[rows],
            length_N=self.length_N[rows],
            first_event_N=self.first_event_N[rows],
            first_caption_N=self.first_caption_N[rows],
            caption_count_N=self.caption_count_N[rows],
            around=None if self.around is None else self.around.taken(rows),
            counted=None if self.counted is None else self.counted.taken(rows),
        )

    def in_blocks(self, windows: int) -> Blocks:
        """All windows of a split, so many together."""
        assert self.around is not None
        length_N = self.length_N.astype(np.int64)
        return Blocks.of(self.first_record_N, length_N, self.around.reach_first_N, windows)

    def training_batch(
        self,
        rows: NDArray[np.int64],
        vectors_NT: Tensor,
        masking: MaskingConfig,
        streams: RandomStreams,
        *,
        longest: int,
        progress: float = 1.0,
    ) -> Batch:
        """The windows, or the blocks of windows, at these rows, each with one of its captions and a
        mask, all drawn by address; padded to `longest` events, the longest window or block of the
        batch over all workers."""
        rows_BJ = rows[:, None] if self.blocks is None else self.blocks.windows_CJ[rows]
        drawn_BJ = streams.uniform(Stream.CAPTION, rows_BJ.shape[1])
        chosen_BJ = (drawn_BJ * self.caption_count_N[rows_BJ]).astype(np.int64)
        first_B, length_B = self._events_of(rows_BJ)
        changes_BL = None
        if masking.start == "transitions":
            changes_BL = self._room_changes(self._copied(first_B, length_B, longest))
        masks = draw_masks(
            length_B,
            longest,
            masking,
            streams,
            progress=progress,
            changes_BL=changes_BL,
        )
        return self._batch(rows_BJ, longest, chosen_BJ, vectors_NT, masks, streams)

    def _events_of(self, rows_BJ: Ints) -> tuple[Ints, Ints]:
        """For each row the first record of its windows, and how many records they span."""
        first_B = self.first_record_N[rows_BJ[:, 0]]
        after_BJ = self.first_record_N[rows_BJ] + self.length_N[rows_BJ]
        return first_B, after_BJ.max(axis=1) - first_B

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
        rows_B1 = rows_B[:, None]
        return self._batch(rows_B1, longest, np.zeros_like(rows_B1), vectors_NT, masks, None)

    def longest(self, rows_B: NDArray[np.int64]) -> int:
        """The events of the longest of these windows."""
        return int(self.length_N[rows_B].max())

    def records(self, rows_B: NDArray[np.int64], longest: int) -> NDArray[np.void]:
        """The events of these windows, B x `longest`, PAD after each window's end."""
        return self._copied(self.first_record_N[rows_B], self.length_N[rows_B], longest)

    def _copied(
        self, first_B: Ints, length_B: NDArray[np.integer], longest: int
    ) -> NDArray[np.void]:
        size = self.events.itemsize
        raw = self.events.view(np.uint8)
        # The last window that can start here ends with the store: one more would read beyond it,
        # for `as_strided` checks nothing. So there is a window's length of PAD at the end.
        count = len(self.events) - longest + 1
        windows = as_strided(raw, shape=(count, longest * size), strides=(size, 1))
        # Rows of an array as index make a copy; without one, PAD would be written into the store.
        records_BL = windows[first_B].view(self.events.dtype)
        if length_B.min() < longest:
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
        rows_BJ: Ints,
        longest: int,
        chosen_BJ: Ints,
        vectors_NT: Tensor,
        masks: Masks,
        dropout: RandomStreams | None,
    ) -> Batch:
        to = functools.partial(_moved, device=vectors_NT.device)
        rows = rows_BJ.reshape(-1)
        caption_B = to(self.captions_K[self.first_caption_N[rows] + chosen_BJ.reshape(-1)])
        first_B, length_B = self._events_of(rows_BJ)
        own_CJL = None
        if self.around is not None and self.around.reads_further:
            chunks = self.around.chunks(rows_BJ[:, 0], first_B, length_B, longest)
            length_BJ = self.length_N[rows_BJ].astype(np.int64)
            own_CJL = chunks.own(self.first_record_N[rows_BJ], length_BJ)
            masks = chunks.masks(masks, longest)
            first_B, length_B, longest = chunks.first_B, chunks.length_B, chunks.longest
        records_BL = self._copied(first_B, length_B, longest)
        real_BL = np.arange(longest) < length_B[:, None]
        tokens = np.pad(real_BL, ((0, 0), (1, 0)), constant_values=True)
        return Batch(
            fields=self.fields,
            ids_BLF=to(records_BL["ids"].astype(np.int32)),
            gap_seconds_BL=to(records_BL["gap_seconds"]),
            day_seconds_BL=to(records_BL["day_seconds"]),
            xy_BL2=to(records_BL["xy"]),
            real_BL=to(real_BL),
            own_CJL=None if own_CJL is None else to(own_CJL),
            sensor_text_BL=to(records_BL["sensor_text"]),
            vectors_NT=vectors_NT,
            text_BT=vectors_NT[caption_B],
            caption_B=caption_B,
            span_B2=to(self._spans(rows)),
            masked_BL=to(masks.masked_BL),
            asked_M=to(np.flatnonzero(masks.masked_BL)),
            tokens_R=None if real_BL.all() else to(np.flatnonzero(tokens)),
            hidden_BLG=None if masks.hidden_BLG is None else to(masks.hidden_BLG),
            shown_BL=None if masks.shown_BL is None else to(masks.shown_BL),
            dropout=dropout,
            **self._further(rows, first_B, vectors_NT.device),
        )

    def _further(self, rows: Ints, first_B: Ints, device: torch.device) -> dict[str, Tensor]:
        """What was said before the first record of each chunk, and what is counted of windows."""
        arrays: dict[str, NDArray[Any]] = {}  # Any: of any element type
        if self.around is not None and (memory := self.around.memory) is not None:
            arrays["since_BK"], arrays["said_BK"] = memory.before(first_B)
            arrays |= {"sensor_K": memory.sensor_id_K, "sensor_text_K": memory.sensor_text_K}
        if self.counted is not None:
            arrays["counted_BA"] = self.counted.of_windows(rows)
            arrays["neighbours_BOA"] = self.counted.of_neighbours(rows)
        return {name: _moved(values, device=device) for name, values in arrays.items()}


def _moved(values: NDArray[Any], *, device: torch.device) -> Tensor:  # Any: of any element type
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    # From pinned memory a copy needs nobody to wait for it.
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def refuse_alone(table: pa.Table) -> None:
    """Refuse windows of which nobody knows what is around them.

    Raises:
        SettingsError: they are of alignment JSON.
    """
    if table.column("first_event").to_numpy().min(initial=0) < 0:
        raise SettingsError(
            "alignment JSON has windows alone: no events around them, and no order of windows.",
            hint="leave data.context, model.state_token, loss.aggregates_weight and "
            "loss.neighbours_weight as they are, or prepare the log itself.",
        )
