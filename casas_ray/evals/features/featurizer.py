"""What makes vectors of windows, and what it may read for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import SeenWindows

Vectors = NDArray[np.float64]
"""N windows x W numbers."""

Level = Literal["window", "past", "both sides"]
"""What is read for a window: its own events, also those before it, also those after it. Never an
event of a day on the other side of a fold."""

LEVELS: tuple[Level, ...] = ("window", "past", "both sides")


@dataclass(frozen=True)
class Featurizer:
    """Vectors of windows by one rule."""

    name: str
    level: Level
    make: Callable[[SeenWindows, Fold], Vectors]
    """N x W for all windows, whatever is fitted being fitted on the fold's training windows."""

    one_scale: bool = False
    """Whether a distance between two vectors means something as it is; others are standardised
    before windows are grouped."""

    parts: "tuple[Featurizer, ...]" = ()
    """Of joined features, those that stand side by side."""
