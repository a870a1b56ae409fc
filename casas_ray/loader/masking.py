"""Which events of a window are hidden, what of them, and what is shown instead."""

# B windows, L events, G groups of fields that are hidden together

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import HideConfig, MaskingConfig
from casas_ray.loader.streams import RandomStreams, Stream

GROUPS = ("sensor", "state", "time_of_day", "time_gap")
_GROUP_OF = {
    "room": "sensor",
    "sensor_type": "sensor",
    "floor": "sensor",
    "position": "sensor",
    "day_of_week": "time_of_day",
    "gap": "time_gap",
}


def group_of(field: str) -> int:
    """The place in GROUPS of what hides a field."""
    return GROUPS.index(_GROUP_OF.get(field, field))


@dataclass(frozen=True)
class Masks:
    """What the encoder must not see of B windows."""

    masked: NDArray[np.bool_]
    """B x L: events that are asked back."""

    hidden: NDArray[np.bool_] | None = None
    """B x L x G: what of a masked event is hidden and asked back; None is everything."""

    shown: NDArray[np.int64] | None = None
    """B x L: the place of the event that stands where this one was: its own where it is kept, -1
    for MASK. None is MASK everywhere."""

    @classmethod
    def none(cls, windows: int, longest: int) -> "Masks":
        """Nothing is hidden."""
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
    seeds = changes_BL if config.start == "transitions" else None
    masked = span_mask(length_B, longest, share, config.mean_span, streams, seeds=seeds)
    hidden = None if config.hide.always else _hidden(masked, config, streams)
    shown = _shown(length_B, longest, config, streams) if config.swap or config.keep else None
    return Masks(masked, hidden, shown)


def span_mask(
    length_B: NDArray[np.integer],
    longest: int,
    share: float,
    mean_span: float,
    streams: RandomStreams,
    *,
    seeds: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """B x L, True where an event is masked: exactly round(share x length) events of each window, at
    least one, never padding.

    A window, seen as a ring, is cut into segments of geometric length (mean `mean_span`); whole
    segments are taken in random order until the share is met, the last one in part. The ring is
    turned at random, so that every place is masked equally often. After SpanBERT (Joshi et al.
    2020), with the share made exact. Segments that start at `seeds` are taken before all others.
    """
    places = np.arange(longest)
    length_B1 = length_B[:, None].astype(np.int64)
    shift_B1 = (streams.uniform(Stream.MASK_TURN, 1) * length_B1).astype(np.int64)
    starts = streams.uniform(Stream.MASK_SPAN, longest) < 1.0 / mean_span
    by_segment = streams.uniform(Stream.MASK_PRIORITY, longest + 1)
    on_ring = None
    if seeds is not None:
        on_ring = np.take_along_axis(seeds, _unturned(places, length_B1, shift_B1), axis=1)
        starts |= on_ring
    segment = np.cumsum(starts, axis=1, dtype=np.int64)
    priority = np.take_along_axis(by_segment, segment, axis=1)
    if on_ring is not None:
        priority += ~_first_of_segment(on_ring, segment, longest)
    priority[places >= length_B1] = 3.0  # after every real event
    order = np.argsort(priority, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(places, order.shape), axis=1)
    wanted = np.maximum(1, np.rint(share * length_B)).astype(np.int64)
    turned = np.where(places < length_B1, (places + shift_B1) % length_B1, places)
    return np.take_along_axis(rank < wanted[:, None], turned, axis=1)


def _unturned(
    places: NDArray[np.int64], length_B1: NDArray[np.int64], shift_B1: NDArray[np.int64]
) -> NDArray[np.int64]:
    return np.where(places < length_B1, (places - shift_B1) % length_B1, places)


def _first_of_segment(
    on_ring: NDArray[np.bool_], segment: NDArray[np.int64], longest: int
) -> NDArray[np.bool_]:
    """B x L: whether the segment of this place starts at a seed."""
    seeded = np.zeros((len(segment), longest + 1), dtype=bool)
    rows, columns = np.nonzero(on_ring)
    seeded[rows, segment[rows, columns]] = True
    return np.take_along_axis(seeded, segment, axis=1)


def _hidden(
    masked: NDArray[np.bool_], config: MaskingConfig, streams: RandomStreams
) -> NDArray[np.bool_]:
    longest = masked.shape[1]
    chances = chances_of(config.hide)
    drawn = streams.uniform(Stream.MASK_HIDE, longest * len(GROUPS))
    hidden = drawn.reshape(len(masked), longest, len(GROUPS)) < chances
    if config.blackout:
        hidden |= (streams.uniform(Stream.MASK_BLACKOUT, longest) < config.blackout)[..., None]
    # A masked event that hides nothing would be asked nothing: it hides what is hidden oftenest.
    hidden[..., int(np.argmax(chances))] |= ~hidden.any(-1)
    return hidden & masked[..., None]


def chances_of(hide: HideConfig) -> NDArray[np.float64]:
    """By group, the chance that it is hidden."""
    return np.array([getattr(hide, group) for group in GROUPS])


def _shown(
    length_B: NDArray[np.integer], longest: int, config: MaskingConfig, streams: RandomStreams
) -> NDArray[np.int64]:
    kind = streams.uniform(Stream.MASK_KIND, longest)
    other = streams.uniform(Stream.MASK_OTHER, longest) * length_B[:, None]
    shown = np.where(kind < config.swap, other.astype(np.int64), -1)
    keeps = (kind >= config.swap) & (kind < config.swap + config.keep)
    return np.where(keeps, np.arange(longest), shown)
