"""A model's losses and retrieval on held-out windows, the same on any number of workers."""

# N windows of a split over all workers, B windows of a chunk, L events of the longest of them, D
# embedding size; in `vectors_NT`, N texts of the set and T size of a text vector

from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.loader.loader import Loader
from casas_ray.loader.masking import span_mask
from casas_ray.loader.streams import RandomStreams
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.counted_losses import errors, numbers_here, weights_of
from casas_ray.model.dual import DualEncoder, targets
from casas_ray.model.losses import (
    contrastive,
    in_batch_accuracy,
    masked_event_loss,
    scores,
    summed,
    workers,
)
from casas_ray.model.metrics import retrieval

_CHUNK = 256
_MASK_SEED = 20_091_016  # fixed: every run, arm and epoch is asked for the same events


@torch.inference_mode()
def held_out(
    model: DualEncoder,
    store: WindowStore,
    vectors_NT: Tensor,
    recipe: Recipe,
    *,
    first: int,
    total: int,
    longest: int,
) -> dict[str, float]:
    """Losses, in-batch accuracies and retrieval over a whole split, by name.

    `store` is this worker's run of the split's windows, of which there are `total`, the longest of
    `longest` events; its first is the split's window `first`. Retrieval sees unmasked windows and
    ranks the whole split's captions (the first of each window).
    """
    sides = [_embed(model, store, vectors_NT, rows_B) for rows_B in _chunks(len(store))]
    # Ranked after gathering: against the captions of one worker alone, recall would be better with
    # every worker more.
    sensor_ND = _gathered(torch.cat([sensor_BD for sensor_BD, _, _ in sides]), total)
    text_ND = _gathered(torch.cat([text_BD for _, text_BD, _ in sides]), total)
    caption_N = _gathered(torch.cat([caption_B for _, _, caption_B in sides]), total)
    mlm = _masked_loss(model, store, vectors_NT, recipe, first, longest)
    metrics = _pair_losses(model, sensor_ND, text_ND, caption_N, recipe.optim.batch_size)
    metrics["mlm_loss"] = mlm
    metrics["total_loss"] = (
        recipe.loss.clip_weight * metrics["clip_loss"] + recipe.loss.mlm_weight * mlm
    )
    for name, weight in weights_of(recipe.loss).items():
        loss = _counted_loss(model, store, vectors_NT, name)
        metrics[f"{name}_loss"] = loss
        metrics["total_loss"] += weight * loss
    return metrics | retrieval(sensor_ND, text_ND, caption_N)


def validate(model: DualEncoder, *, loader: Loader, recipe: Recipe) -> dict[str, float]:
    """The metrics of `held_out` on the validation days, under the names `val/...`."""
    metrics = held_out(
        model,
        loader.val,
        loader.vectors_NT,
        recipe,
        first=loader.val_first,
        total=loader.facts.val_windows,
        longest=loader.facts.val_longest,
    )
    return {f"val/{name}": value for name, value in metrics.items()}


def _chunks(windows: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, windows, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, windows))


def _embed(
    model: DualEncoder, store: WindowStore, vectors_NT: Tensor, rows_B: NDArray[np.int64]
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows, B x D, their captions, B x D, and the captions' ids, B."""
    batch = store.fixed_batch(rows_B, vectors_NT)
    encoded = model(batch)
    return encoded.sensor_BD, encoded.text_BD, batch.caption_B


def _masked_loss(
    model: DualEncoder,
    store: WindowStore,
    vectors_NT: Tensor,
    recipe: Recipe,
    first: int,
    longest: int,
) -> float:
    # In double precision, or the sum would depend on how chunks are dealt to workers.
    totals = torch.zeros(2, dtype=torch.float64)
    for rows_B in _chunks(len(store)):
        # By the index in the whole split, and as wide as its longest window: a width of the chunk's
        # own would give a window other masks on another worker.
        streams = RandomStreams(_MASK_SEED, 0, first + int(rows_B[0]), len(rows_B))
        masked_BL = span_mask(
            store.length_N[rows_B],
            longest,
            recipe.masking.share,
            recipe.masking.mean_span,
            streams,
        )[:, : store.longest(rows_B)]
        batch = store.fixed_batch(rows_B, vectors_NT, masked_BL)
        # Alone: workers may have unlike numbers of chunks, and a sum over them would hang.
        loss = masked_event_loss(model(batch).logits, targets(batch, model.fields), alone=True)
        asked = masked_BL.sum()
        totals += torch.tensor([loss.item() * asked, asked], dtype=torch.float64)
    loss_sum, count = summed(totals.to(vectors_NT.device)).tolist()
    return loss_sum / count


def _counted_loss(model: DualEncoder, store: WindowStore, vectors_NT: Tensor, name: str) -> float:
    # In double precision and alone, as `_masked_loss`.
    totals = torch.zeros(2, dtype=torch.float64)
    for rows_B in _chunks(len(store)):
        batch = store.fixed_batch(rows_B, vectors_NT)
        error = errors(model, model.pooled(batch), batch)[name]
        asked = numbers_here(batch)[name]
        totals += torch.stack([error, asked]).double().cpu()
    error_sum, count = summed(totals.to(vectors_NT.device)).tolist()
    return error_sum / max(count, 1.0)


def _pair_losses(
    model: DualEncoder, sensor_ND: Tensor, text_ND: Tensor, caption_N: Tensor, batch_size: int
) -> dict[str, float]:
    parts = zip(
        sensor_ND.split(batch_size),
        text_ND.split(batch_size),
        caption_N.split(batch_size),
        strict=True,
    )
    sums = []
    for sensor_BD, text_BD, caption_B in parts:
        similarity_BB = scores(sensor_BD, text_BD, model.temperature)
        loss, accuracies = contrastive(similarity_BB), in_batch_accuracy(similarity_BB, caption_B)
        # Times its windows: the last batch is shorter, and must not weigh as much as the others.
        sums.append(torch.stack([loss, *accuracies]) * len(sensor_BD))
    loss, to_text, to_sensor = (torch.stack(sums).sum(0) / len(sensor_ND)).tolist()
    return {"clip_loss": loss, "sensor_to_text_acc": to_text, "text_to_sensor_acc": to_sensor}


def _gathered(rows: Tensor, total: int) -> Tensor:
    """The rows of all workers in order, N x any, where each holds an equal run but for one row."""
    if workers() == 1:
        return rows
    # `all_gather` wants equal shapes: runs are filled up to the longest, and cut again as
    # `SetFacts.val_range` cut them.
    most = -(-total // workers())
    padded = rows.new_zeros((most, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(workers())]
    dist.all_gather(parts, padded)
    sizes = [len(part) for part in np.array_split(np.arange(total), workers())]
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
