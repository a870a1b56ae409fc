"""The losses on what is counted of windows and of their neighbours."""

# B windows on this worker, W width, A aggregates, O neighbours

import torch
from torch import Tensor

from casas_ray.config import LossConfig
from casas_ray.loader.batch import Batch
from casas_ray.loader.counted import OFFSETS
from casas_ray.model.dual import DualEncoder, whole
from casas_ray.model.losses import over_workers, summed

AGGREGATES, NEIGHBOURS = "aggregates", "neighbours"


def weights_of(config: LossConfig) -> dict[str, float]:
    """The losses that are asked for, with their weights."""
    weights = {AGGREGATES: config.aggregates_weight, NEIGHBOURS: config.neighbours_weight}
    return {name: weight for name, weight in weights.items() if weight}


def numbers_here(batch: Batch) -> dict[str, Tensor]:
    """How many numbers each loss asks for on this worker; scalars."""
    assert batch.counted_BA is not None and batch.neighbours_BOA is not None
    there = (~batch.neighbours_BOA.isnan()).sum().float()
    return {AGGREGATES: torch.full_like(there, batch.counted_BA.numel()), NEIGHBOURS: there}


def numbers_asked(batch: Batch) -> dict[str, Tensor]:
    """How many numbers each loss asks for, over all workers; scalars."""
    here = numbers_here(batch)
    return dict(zip(here, summed(torch.stack([*here.values()])).unbind(), strict=True))


def errors(model: DualEncoder, pooled_BW: Tensor, batch: Batch) -> dict[str, Tensor]:
    """By loss, the sum of squared errors on this worker; neighbours that are not there have
    none."""
    assert batch.counted_BA is not None and batch.neighbours_BOA is not None
    found: dict[str, Tensor] = {}
    if model.config.aggregates_weight:
        guess_BA = whole(model.aggregates(pooled_BW))
        found[AGGREGATES] = (guess_BA - batch.counted_BA).square().sum()
    if model.config.neighbours_weight:
        guess_BOA = whole(model.neighbours(pooled_BW)).view(len(batch), len(OFFSETS), -1)
        there_BOA = ~batch.neighbours_BOA.isnan()
        wanted_BOA = batch.neighbours_BOA.nan_to_num(0.0)
        found[NEIGHBOURS] = ((guess_BOA - wanted_BOA) * there_BOA).square().sum()
    return found


def counted_losses(
    model: DualEncoder,
    pooled_BW: Tensor,
    batch: Batch,
    counts: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """By loss, the mean squared error over what all workers are asked.

    The value and, under gradients averaged over workers, its gradient are those of one worker with
    all windows. `counts`, of the whole batch, makes this the part that a piece of it adds.
    """
    is_piece = counts is not None
    counts = numbers_asked(batch) if counts is None else counts
    return {
        name: over_workers(total / counts[name].clamp(min=1.0), has_value=not is_piece)
        for name, total in errors(model, pooled_BW, batch).items()
    }
