"""Featurizers by the names that people type."""

from typing import Literal

import torch

from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.hand import BOTH_SIDES, COUNTS, MIX, PAST, RICH
from casas_ray.evals.features.learned import encoder, joined
from casas_ray.model.dual import DualEncoder

Features = Literal["hand", "counts", "rich", "past", "both", "encoder", "joined"]

LEARNED: tuple[Features, ...] = ("encoder", "joined")
"""Those that want a model."""

_HAND: dict[str, Featurizer] = {
    "hand": MIX,
    "counts": COUNTS,
    "rich": RICH,
    "past": PAST,
    "both": BOTH_SIDES,
}


def hand_made(features: Features) -> Featurizer:
    """The hand-made featurizer of this name."""
    return _HAND[features]


def learned(features: Features, model: DualEncoder, vectors_NT: torch.Tensor) -> Featurizer:
    """The featurizer of this name by a model and the text vectors that its windows refer to."""
    trained = encoder("trained", model, vectors_NT)
    return trained if features == "encoder" else joined("trained + hand mix", [trained, MIX])
