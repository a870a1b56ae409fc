"""A recipe that reads around its windows and counts what is in them, and what it trains with."""

import numpy as np
import torch

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.loader import Loader
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.whole_split import whole_loader

CONTEXT = {
    "data.context.side": "past",
    "data.context.events": 30,
    "model.pooling": "mean",
    "model.time_harmonics": 3,
    "model.state_token": True,
    "loss.aggregates_weight": 0.8,
    "loss.neighbours_weight": 0.6,
}
BOTH = {**CONTEXT, "data.context.side": "both"}
TOGETHER = {**CONTEXT, "data.context.windows": 4}


def loader_of(
    recipe: Recipe, prepared: PreparedSet, vectors: np.ndarray, rank: int = 0, workers: int = 1
) -> Loader:
    """The loader of one of several workers."""
    return whole_loader(
        prepared.windows("train"),
        prepared.windows("val"),
        SetFacts.of(prepared),
        torch.from_numpy(vectors),
        recipe,
        rank,
        workers,
    )
