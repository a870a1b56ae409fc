"""What a training reads: a prepared set with the vectors of its captions."""

# N captions and descriptions of the set, T size of a text vector

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.loader import Loader
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.whole_split import whole_loader
from casas_ray.loader.window_store import WindowStore


@dataclass(frozen=True)
class TrainingData:
    """A prepared set with the vectors of its captions, at hand in this process."""

    prepared: PreparedSet
    vectors_NT: NDArray[np.float32]
    """A row a caption or description of the set, by its id."""

    def loader(self, recipe: Recipe, device: torch.device) -> Loader:
        """The loader of one worker that holds all windows."""
        facts = SetFacts.of(self.prepared)
        if recipe.wants_whole_split:
            train, val = self.prepared.windows("train"), self.prepared.windows("val")
            vectors_NT = torch.from_numpy(self.vectors_NT).to(device)
            return whole_loader(train, val, facts, vectors_NT, recipe, 0, 1)
        sampler = facts.sampler(recipe)
        # Lane by lane, as the sampler numbers the rows of a worker.
        rows = pa.array(sampler.shard_rows(0, 1))
        return Loader(
            WindowStore.of(self.prepared.windows("train").take(rows)),
            WindowStore.of(self.prepared.windows("val")),
            facts,
            sampler,
            torch.from_numpy(self.vectors_NT).to(device),
            recipe,
        )
