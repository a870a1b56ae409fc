"""Which events of a window are hidden: spans, at an exact share."""

# B windows, L events

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import MaskingConfig
from casas_ray.model.draws import Draws, Site


def span_mask(
    length_B: NDArray[np.integer], longest: int, config: MaskingConfig, draws: Draws
) -> NDArray[np.bool_]:
    """B x L, True where an event is masked: exactly round(share x length) events of each window, at
    least one, never padding.

    A window, seen as a ring, is cut into segments of geometric length (mean `mean_span`); whole
    segments are taken in random order until the share is met, the last one in part. The ring is
    turned at random, so that every place is masked equally often. After SpanBERT (Joshi et al.
    2020), with the share made exact.
    """
    places = np.arange(longest)
    starts = draws.uniform(Site.MASK_SPAN, longest) < 1.0 / config.mean_span
    segment = np.cumsum(starts, axis=1, dtype=np.int64)
    by_segment = draws.uniform(Site.MASK_PRIORITY, longest + 1)
    priority = np.take_along_axis(by_segment, segment, axis=1)
    priority[places >= length_B[:, None]] = 2.0  # after every real event
    order = np.argsort(priority, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(places, order.shape), axis=1)
    wanted = np.maximum(1, np.rint(config.share * length_B)).astype(np.int64)
    return _turned(rank < wanted[:, None], length_B, draws)


def _turned(
    masked_BL: NDArray[np.bool_], length_B: NDArray[np.integer], draws: Draws
) -> NDArray[np.bool_]:
    places = np.arange(masked_BL.shape[1])
    length_B1 = length_B[:, None].astype(np.int64)
    shift_B1 = (draws.uniform(Site.MASK_TURN, 1) * length_B1).astype(np.int64)
    turned = np.where(places < length_B1, (places + shift_B1) % length_B1, places)
    return np.take_along_axis(masked_BL, turned, axis=1)
