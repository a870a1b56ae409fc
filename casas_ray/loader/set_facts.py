"""What every worker knows of the whole set, whichever part of it it holds."""

# N training windows of the whole set

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.sampler import LengthBucketSampler


@dataclass(frozen=True)
class SetFacts:
    """What every worker knows of the whole set, and what a checkpoint must remember of it."""

    train_length_N: NDArray[np.int16]
    """Events of every training window of the set."""

    val_windows: int
    val_longest: int
    """Events of the longest validation window of the set."""

    vocabulary: Mapping[str, tuple[str, ...]]
    about: Mapping[str, Any]  # Any: what JSON holds

    @classmethod
    def of(cls, prepared: PreparedSet) -> "SetFacts":
        """The facts of a prepared set."""
        vocabulary, manifest = prepared.vocabulary.values, prepared.manifest
        about = {
            # Every checkpoint keeps this: these keys are read back from runs of before.
            "home": manifest["home"],
            "simulated": prepared.simulated,
            "caveats": list(prepared.caveats),
            "fingerprint": prepared.fingerprint,
            "galleries": prepared.galleries,
            "vocabulary": {field: list(values) for field, values in vocabulary.items()},
        }
        length_N, longest = prepared.lengths("train"), int(prepared.lengths("val").max())
        return cls(length_N, manifest["windows"]["val"], longest, vocabulary, about)

    def counting(self, aggregates: int) -> "SetFacts":
        """The facts with how many numbers are counted of a window, which a model's heads have."""
        return dataclasses.replace(self, about={**self.about, "aggregates": aggregates})

    def sampler(self, recipe: Recipe) -> LengthBucketSampler:
        """The order of the training windows for this recipe."""
        return LengthBucketSampler(self.train_length_N, recipe.optim.batch_size, recipe.seed)

    def val_range(self, rank: int, world_size: int) -> range:
        """The validation windows of a worker: one run of them, equal to the others' but for one
        window."""
        # training.validation puts the runs together again by the same cut.
        parts = np.array_split(np.arange(self.val_windows), world_size)
        return range(sum(len(part) for part in parts[:rank]), sum(map(len, parts[: rank + 1])))

    def sizes(self) -> dict[str, int]:
        """The number of ids of each field."""
        return {field: len(values) for field, values in self.vocabulary.items()}
