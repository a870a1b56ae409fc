"""Vectors of windows that a model makes, and of what is said of them; alone or beside others."""

# N windows, B windows of a chunk, W width of a vector; in `vectors_NT`, N texts of the set and T
# size of a text vector

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import flat, lengths
from casas_ray.evals.features.featurizer import LEVELS, Featurizer, Level, Vectors
from casas_ray.evals.features.fitted import Fitted
from casas_ray.evals.features.fold import Fold
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.dual import DualEncoder

_CHUNK = 256


_LEVEL_OF: dict[str, Level] = {"none": "window", "past": "past", "both": "both sides"}


def level_of(recipe: Recipe) -> Level:
    """What an encoder of this recipe reads for a window's vector.

    A window's first event tells it the time since the event before: of what lies before the window,
    an encoder of `window` reads no more.
    """
    return _LEVEL_OF[recipe.reads]


@torch.inference_mode()
def pooled(model: DualEncoder, table: pa.Table, vectors_NT: torch.Tensor) -> Vectors:
    """All windows of a split through the encoder: the pooled vectors before the projection, N x W.

    `vectors_NT` are the text model's, of the set's captions and descriptions.
    """
    store = WindowStore.of_split(table, model.recipe)
    chunks = []
    for start in range(0, len(store), _CHUNK):
        rows_B = np.arange(start, min(start + _CHUNK, len(store)))
        chunks.append(model.pooled(store.fixed_batch(rows_B, vectors_NT)).float().cpu().numpy())
    return np.concatenate(chunks).astype(np.float64)


def encoder(name: str, model: DualEncoder, vectors_NT: torch.Tensor) -> Featurizer:
    """The pooled vectors of a model, which reads as much around a window as its recipe says, within
    the window's own split."""

    @functools.cache  # two rows of one table ask for them
    def of(windows: SeenWindows) -> Vectors:
        # Split by split: in a table of two, the last days of one stand before the first of another.
        starts = np.flatnonzero(np.diff(windows.split_N, prepend=-1)).tolist()
        ends = [*starts[1:], len(windows)]
        parts = [
            pooled(model, windows.table.slice(start, end - start), vectors_NT)
            for start, end in zip(starts, ends, strict=True)
        ]
        return np.concatenate(parts)

    return Featurizer(
        name, level_of(model.recipe), lambda windows, fold: of(windows), one_scale=True
    )


def captions(vectors_NT: NDArray[np.float32]) -> Featurizer:
    """The text vector of each window's first caption: what words alone tell of it."""

    def first(windows: SeenWindows, fold: Fold) -> Vectors:
        counts_N = lengths(windows.table, "captions")
        first_N = flat(windows.table, "captions")[np.cumsum(counts_N) - counts_N]
        return vectors_NT[first_N].astype(np.float64)

    return Featurizer("captions alone", "window", first, one_scale=True)


def joined(name: str, parts: Sequence[Featurizer]) -> Featurizer:
    """Several features side by side, each spread as much over the training windows as the others;
    it reads what any of them reads."""

    def make(windows: SeenWindows, fold: Fold) -> Vectors:
        each = [part.make(windows, fold) for part in parts]
        return np.concatenate(
            [
                vectors / _spread(part.name, vectors, fold)
                for part, vectors in zip(parts, each, strict=True)
            ],
            axis=1,
        )

    level = LEVELS[max(LEVELS.index(part.level) for part in parts)]
    one_scale = all(part.one_scale for part in parts)
    return Featurizer(name, level, make, one_scale=one_scale, parts=tuple(parts))


def fitted_by(featurizer: Featurizer, windows: SeenWindows, fold: Fold) -> Fitted:
    """What the featurizer takes from a fold's training windows."""
    spreads = {
        part.name: _spread(part.name, part.make(windows, fold), fold) for part in featurizer.parts
    }
    return Fitted(fold.columns(windows), spreads)


def _spread(part: str, vectors: Vectors, fold: Fold) -> float:
    if fold.fitted:
        return fold.fitted.spreads[part]
    return float(np.sqrt(vectors[fold.train].var(axis=0).sum())) or 1.0
