"""What is read around windows: how far, and where in it the window lies."""

# N windows, B windows of a batch, L events of what is read for one of them, G groups of fields that
# are hidden together

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.loader.event_records import EventsOnce, Ints
from casas_ray.loader.masking import Masks
from casas_ray.loader.memory import Memory


@dataclass(frozen=True)
class Surroundings:
    """What may be read around the windows of a store."""

    before: int
    """Events before a window, at most."""

    after: int
    reach_first_N: Ints
    """For each window the first record that may be read for it."""

    reach_after_N: Ints
    """And the one after the last."""

    memory: Memory | None

    @classmethod
    def of(cls, once: EventsOnce, fields: tuple[str, ...], recipe: Recipe) -> "Surroundings":
        """What a recipe reads around the windows of a whole split."""
        context = recipe.data.context
        return cls(
            context.before,
            context.after,
            once.stretch_first_E[once.first_record_N],
            once.stretch_after_E[once.first_record_N],
            Memory.of(once, fields) if recipe.model.state_token else None,
        )

    @property
    def reads_further(self) -> bool:
        """Whether a chunk has more events than its window."""
        return self.before + self.after > 0

    def chunks(self, rows_B: Ints, first_B: Ints, length_B: Ints, longest: int) -> "Chunks":
        """What is read for the windows at these rows, whose first records and lengths are given;
        the longest of the batch, over all workers, has `longest` events."""
        start_B = np.maximum(first_B - self.before, self.reach_first_N[rows_B])
        after_B = np.minimum(first_B + length_B + self.after, self.reach_after_N[rows_B])
        # As wide as the longest could be, not as it is: workers must agree on it.
        width = self.before + longest + self.after
        return Chunks(start_B, after_B - start_B, first_B - start_B, width)

    def taken(self, rows: Ints) -> "Surroundings":
        """Those of the windows at these rows."""
        reach = (self.reach_first_N[rows], self.reach_after_N[rows])
        return dataclasses.replace(self, reach_first_N=reach[0], reach_after_N=reach[1])


@dataclass(frozen=True)
class Chunks:
    """The records that are read for each window of a batch."""

    first_B: Ints
    length_B: Ints
    offset_B: Ints
    """Where in its chunk the window, or the first of its windows, begins."""

    longest: int
    """L, on all workers."""

    def own(self, first_BJ: Ints, length_BJ: Ints) -> NDArray[np.bool_]:
        """Each window's own events, B x J x L, of windows that begin at these records."""
        index_L = np.arange(self.longest)
        start_BJ1 = (first_BJ - self.first_B[:, None])[..., None]
        return (index_L >= start_BJ1) & (index_L < start_BJ1 + length_BJ[..., None])

    def spread(self, values_BL: NDArray[Any], longest: int, empty: Any) -> NDArray[Any]:
        """What is known of the events of windows, put where they are in the chunk."""
        # Any: of any element type
        shape = (len(self.first_B), self.longest, *values_BL.shape[2:])
        spread = np.full(shape, empty, dtype=values_BL.dtype)
        columns = self.offset_B[:, None] + np.arange(longest)
        spread[np.arange(len(columns))[:, None], columns] = values_BL
        return spread

    def masks(self, masks: Masks, longest: int) -> Masks:
        """The masks of windows as those of their chunks; what is around is never hidden."""
        shown_BL = masks.shown_BL
        if shown_BL is not None:
            moved_BL = np.where(shown_BL < 0, shown_BL, shown_BL + self.offset_B[:, None])
            shown_BL = self.spread(moved_BL, longest, -1)
        hidden_BLG = masks.hidden_BLG
        if hidden_BLG is not None:
            hidden_BLG = self.spread(hidden_BLG, longest, False)
        return Masks(self.spread(masks.masked_BL, longest, False), hidden_BLG, shown_BL)
