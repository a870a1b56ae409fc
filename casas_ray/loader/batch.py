"""A batch: some windows of a shard, as tensors."""

# B windows of the batch on this worker, L events of the longest window, F fields, T size of a text
# vector

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from casas_ray.loader.streams import RandomStreams


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

    dropout: RandomStreams | None
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
