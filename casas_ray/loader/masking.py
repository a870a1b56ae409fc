"""Which events of a window are hidden, what of them, and what is shown instead."""

# B windows, L events, G groups of fields that are hidden together; "on the ring" below means that
# a window's events were turned by its shift

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import HideConfig, MaskingConfig
from casas_ray.loader.streams import RandomStreams, Stream

# The last axis of `hidden_BLG` and of its draws: in another order every run has other masks.
GROUPS = ("sensor", "state", "time_of_day", "time_gap")
# Fields that give each other away are hidden together: a masked sensor could be read off its room.
_GROUP_OF = {
    "room": "sensor",
    "sensor_type": "sensor",
    "floor": "sensor",
    "position": "sensor",
    "day_of_week": "time_of_day",
    "gap": "time_gap",
}


def group_of(field: str) -> int:
    """The index in GROUPS of what hides a field."""
    return GROUPS.index(_GROUP_OF.get(field, field))


@dataclass(frozen=True)
class Masks:
    """What the encoder must not see of B windows."""

    masked_BL: NDArray[np.bool_]
    """Events that are asked back."""

    hidden_BLG: NDArray[np.bool_] | None = None
    """What of a masked event is hidden and asked back; None is everything."""

    shown_BL: NDArray[np.int64] | None = None
    """The index of the event that stands where this one was: its own where it is kept, -1 for MASK.
    None is MASK everywhere."""

    @classmethod
    def none(cls, windows: int, longest: int) -> "Masks":
        """Masks that hide nothing."""
        return cls(np.zeros((windows, longest), dtype=bool))


def draw_masks(
    length_B: NDArray[np.integer],
    longest: int,
    config: MaskingConfig,
    streams: RandomStreams,
    *,
    progress: float = 1.0,
    changes_BL: NDArray[np.bool_] | None = None,
) -> Masks:
    """The masks of one step, all drawn by address.

    `progress` is how much of the training is done, 0 to 1; `changes_BL` tells where an event is in
    another room than the one before.
    """
    share = config.share
    if config.grows_from:
        share = config.grows_from + (config.share - config.grows_from) * progress
    seeds_BL = changes_BL if config.start == "transitions" else None
    masked_BL = span_mask(length_B, longest, share, config.mean_span, streams, seeds_BL=seeds_BL)
    hidden_BLG = None if config.hide.always else _hidden(masked_BL, config, streams)
    shown_BL = _shown(length_B, longest, config, streams) if config.swap or config.keep else None
    return Masks(masked_BL, hidden_BLG, shown_BL)


def span_mask(
    length_B: NDArray[np.integer],
    longest: int,
    share: float,
    mean_span: float,
    streams: RandomStreams,
    *,
    seeds_BL: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Which events are masked, B x L: exactly round(share x length) of each window, at least one,
    never padding.

    A window, seen as a ring, is cut into segments of geometric length (mean `mean_span` events);
    whole segments are taken in random order until the share is met, the last one in part. The ring
    is turned at random, so that every event is masked equally often. After SpanBERT (Joshi et al.
    2020), with the share made exact. Segments that start at `seeds_BL` are taken before all others.
    """
    index_L = np.arange(longest)
    length_B1 = length_B[:, None].astype(np.int64)
    shift_B1 = (streams.uniform(Stream.MASK_TURN, 1) * length_B1).astype(np.int64)
    on_ring_BL = None
    if seeds_BL is not None:
        from_BL = _unturned(index_L, length_B1, shift_B1)
        on_ring_BL = np.take_along_axis(seeds_BL, from_BL, axis=1)
    priority_BL = _priority(longest, mean_span, streams, on_ring_BL)
    priority_BL[index_L >= length_B1] = 3.0  # after every real event
    # Stable: events of one segment have one priority and must stay in order, or spans fall apart.
    order_BL = np.argsort(priority_BL, axis=1, kind="stable")
    rank_BL = np.empty_like(order_BL)
    np.put_along_axis(rank_BL, order_BL, np.broadcast_to(index_L, order_BL.shape), axis=1)
    wanted_B = np.maximum(1, np.rint(share * length_B)).astype(np.int64)
    turned_BL = np.where(index_L < length_B1, (index_L + shift_B1) % length_B1, index_L)
    return np.take_along_axis(rank_BL < wanted_B[:, None], turned_BL, axis=1)


def _priority(
    longest: int, mean_span: float, streams: RandomStreams, on_ring_BL: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """The priority of each event on the ring, B x L: one number a segment, the lowest is first."""
    # Drawn for `longest` events, not for a window's own: that must be the longest of the whole
    # batch, or the masks would depend on which worker holds the window.
    starts_BL = streams.uniform(Stream.MASK_SPAN, longest) < 1.0 / mean_span
    by_segment = streams.uniform(Stream.MASK_PRIORITY, longest + 1)
    if on_ring_BL is not None:
        starts_BL |= on_ring_BL
    segment_BL = np.cumsum(starts_BL, axis=1, dtype=np.int64)
    priority_BL = np.take_along_axis(by_segment, segment_BL, axis=1)
    if on_ring_BL is not None:
        # Priorities lie in [0, 1), so 1 more puts a segment after every seeded one.
        priority_BL += ~_first_of_segment(on_ring_BL, segment_BL, longest)
    return priority_BL


def _unturned(
    index_L: NDArray[np.int64], length_B1: NDArray[np.int64], shift_B1: NDArray[np.int64]
) -> NDArray[np.int64]:
    """B x L: which event of the window stands here on the ring."""
    return np.where(index_L < length_B1, (index_L - shift_B1) % length_B1, index_L)


def _first_of_segment(
    on_ring_BL: NDArray[np.bool_], segment_BL: NDArray[np.int64], longest: int
) -> NDArray[np.bool_]:
    """B x L: whether this event's segment starts at a seed."""
    seeded = np.zeros((len(segment_BL), longest + 1), dtype=bool)
    rows, columns = np.nonzero(on_ring_BL)
    seeded[rows, segment_BL[rows, columns]] = True
    return np.take_along_axis(seeded, segment_BL, axis=1)


def _hidden(
    masked_BL: NDArray[np.bool_], config: MaskingConfig, streams: RandomStreams
) -> NDArray[np.bool_]:
    windows, longest = masked_BL.shape
    chance_G = chances_of(config.hide)
    drawn = streams.uniform(Stream.MASK_HIDE, longest * len(GROUPS))
    hidden_BLG = drawn.reshape(windows, longest, len(GROUPS)) < chance_G
    if config.blackout:
        hidden_BLG |= (streams.uniform(Stream.MASK_BLACKOUT, longest) < config.blackout)[..., None]
    # A masked event that hides nothing would be asked nothing: it hides what is hidden oftenest.
    hidden_BLG[..., int(np.argmax(chance_G))] |= ~hidden_BLG.any(-1)
    return hidden_BLG & masked_BL[..., None]


def chances_of(hide: HideConfig) -> NDArray[np.float64]:
    """The chance of each group that it is hidden, G."""
    return np.array([getattr(hide, group) for group in GROUPS])


def _shown(
    length_B: NDArray[np.integer], longest: int, config: MaskingConfig, streams: RandomStreams
) -> NDArray[np.int64]:
    kind_BL = streams.uniform(Stream.MASK_KIND, longest)
    other_BL = streams.uniform(Stream.MASK_OTHER, longest) * length_B[:, None]
    shown_BL = np.where(kind_BL < config.swap, other_BL.astype(np.int64), -1)
    keeps_BL = (kind_BL >= config.swap) & (kind_BL < config.swap + config.keep)
    return np.where(keeps_BL, np.arange(longest), shown_BL)
