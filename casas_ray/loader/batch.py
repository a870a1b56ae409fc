"""A batch: some windows of a store, as tensors."""

# B windows of the batch on this worker; where several are read together, B stands for C, the runs
# of events that are read, in names of tensors of events, and each run has J windows. L events of
# the longest window (with context, of what is read for it), F fields, G groups of fields that are
# hidden together, M masked events, R real tokens (CLS and events), K sensors, A aggregates, O
# neighbours, N texts of the set, T size of a text vector

import dataclasses
from dataclasses import dataclass

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
    day_seconds_BL: Tensor
    """Time since midnight."""

    xy_BL2: Tensor
    """NaN where a sensor's position is unknown."""

    real_BL: Tensor
    """False on padding."""

    own_CJL: Tensor | None
    """Each window's own events among those that are read for it; None where they are all."""

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

    # These two are found on the host: to count on a GPU, every step would wait for it.
    asked_M: Tensor
    """The masked events, as indices into B x L."""

    tokens_R: Tensor | None
    """The real tokens, as indices into B x (1 + L); None where no window is padded."""

    hidden_BLG: Tensor | None
    """What of a masked event is hidden (see loader.masking); None is everything."""

    shown_BL: Tensor | None
    """The index of the event that is shown in this one's place, -1 for MASK; None is MASK."""

    dropout: RandomStreams | None
    """What dropout is drawn from; None turns it off."""

    since_BK: Tensor | None = None
    """Before the first event that is read: how long ago each sensor fired, as a logarithm, 1 being
    a day or more."""

    said_BK: Tensor | None = None
    """The id of the state that it said then; 0 where it was not heard before."""

    sensor_K: Tensor | None = None
    """The ids of those sensors."""

    sensor_text_K: Tensor | None = None
    """What they are in words, as rows of `vectors_NT`."""

    counted_BA: Tensor | None = None
    """What is counted of each window, standardised."""

    neighbours_BOA: Tensor | None = None
    """The same of windows nearby; NaN where there is none."""

    def __len__(self) -> int:
        return len(self.caption_B)

    @property
    def chunks(self) -> int:
        """C: how many runs of events there are to read."""
        return len(self.real_BL)

    @property
    def together(self) -> int:
        """J: windows that share one run of events."""
        return len(self) // self.chunks

    @property
    def window_events(self) -> Tensor:
        """The windows' own events: B x L, or C x J x L where more is read."""
        return self.real_BL if self.own_CJL is None else self.own_CJL

    @property
    def ids(self) -> dict[str, Tensor]:
        """The ids by field, B x L."""
        return dict(zip(self.fields, self.ids_BLF.unbind(-1), strict=True))

    def seen_as(self, **tensors: Tensor | None) -> "Batch":
        """The batch with some of its tensors replaced, and nothing shown in place of others."""
        return dataclasses.replace(self, **{**tensors, "shown_BL": None})

    def piece(self, start: int, stop: int) -> "Batch":
        """The windows from `start` to before `stop`, with the masks and dropout they have in the
        whole; windows that are read together stay so."""
        first, after = start // self.together, stop // self.together
        rows = {True: slice(start, stop), False: slice(first, after)}
        tensors = {
            field.name: value[rows[field.name in _BY_WINDOW]]
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
            and field.name not in _NOT_BY_WINDOW
        }
        indices = {
            "asked_M": _indices(tensors["masked_BL"]),
            "tokens_R": None if self.tokens_R is None else _indices(with_cls(tensors["real_BL"])),
        }
        dropout = self.dropout.part(first, after) if self.dropout else None
        return dataclasses.replace(self, **tensors, **indices, dropout=dropout)


# What there is one of for each window, where several share a run of events; all else is by run.
_BY_WINDOW = ("text_BT", "caption_B", "span_B2", "counted_BA", "neighbours_BOA")

# A new tensor that has no row a window must be named here, or `piece` cuts it without a word.
_NOT_BY_WINDOW = ("vectors_NT", "asked_M", "tokens_R", "sensor_K", "sensor_text_K")


def with_cls(real_BL: Tensor) -> Tensor:
    """Which tokens are real, B x (1 + L); CLS always is."""
    return F.pad(real_BL, (1, 0), value=True)


def _indices(flags: Tensor) -> Tensor:
    """Where the flags, of any shape, are True, as indices into the flat tensor."""
    return flags.flatten().nonzero().squeeze(1)
