"""A model's losses and retrieval on held-out windows, the same on any number of workers."""

# N windows of a split over all workers, D embedding size

from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.loader.loader import Loader
from casas_ray.loader.masking import span_mask
from casas_ray.loader.streams import RandomStreams
from casas_ray.loader.window_store import WindowStore
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
    vectors: Tensor,
    recipe: Recipe,
    *,
    first: int,
    total: int,
) -> dict[str, float]:
    """Losses, in-batch accuracies and retrieval over a whole split.

    `store` is this worker's run of the split's windows, starting at place `first` of `total`.
    Retrieval sees unmasked windows and ranks the whole split's captions (the first of each window).
    """
    sides = [_embed(model, store, vectors, rows) for rows in _chunks(len(store))]
    sensor = _gathered(torch.cat([sensor for sensor, _, _ in sides]), total)
    text = _gathered(torch.cat([text for _, text, _ in sides]), total)
    caption = _gathered(torch.cat([caption for _, _, caption in sides]), total)
    mlm = _masked_loss(model, store, vectors, recipe, first)
    measured = _pair_losses(model, sensor, text, caption, recipe.optim.batch_size)
    measured["mlm_loss"] = mlm
    measured["total_loss"] = (
        recipe.loss.clip_weight * measured["clip_loss"] + recipe.loss.mlm_weight * mlm
    )
    return measured | retrieval(sensor, text, caption)


def validate(model: DualEncoder, *, loader: Loader, recipe: Recipe) -> dict[str, float]:
    """`held_out` of the validation days, under the names `val/...`."""
    measured = held_out(
        model,
        loader.val,
        loader.vectors,
        recipe,
        first=loader.val_first,
        total=loader.facts.val_windows,
    )
    return {f"val/{name}": value for name, value in measured.items()}


def _chunks(windows: int) -> Iterator[np.ndarray]:
    for start in range(0, windows, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, windows))


def _embed(
    model: DualEncoder, store: WindowStore, vectors: Tensor, rows: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    batch = store.fixed_batch(rows, vectors)
    encoded = model(batch)
    return encoded.sensor_BD, encoded.text_BD, batch.caption_B


def _masked_loss(
    model: DualEncoder, store: WindowStore, vectors: Tensor, recipe: Recipe, first: int
) -> float:
    total = torch.zeros(2, dtype=torch.float64)
    for rows in _chunks(len(store)):
        streams = RandomStreams(_MASK_SEED, 0, first + int(rows[0]), len(rows))
        masked = span_mask(
            store.length[rows],
            store.longest(rows),
            recipe.masking.share,
            recipe.masking.mean_span,
            streams,
        )
        batch = store.fixed_batch(rows, vectors, masked)
        loss = masked_event_loss(model(batch).masked, targets(batch, model.fields), alone=True)
        total += torch.tensor([loss.item() * masked.sum(), masked.sum()], dtype=torch.float64)
    loss_sum, count = summed(total.to(vectors.device)).tolist()
    return loss_sum / count


def _pair_losses(
    model: DualEncoder, sensor_ND: Tensor, text_ND: Tensor, caption_N: Tensor, batch_size: int
) -> dict[str, float]:
    parts = zip(
        sensor_ND.split(batch_size),
        text_ND.split(batch_size),
        caption_N.split(batch_size),
        strict=True,
    )
    rows = []
    for sensor, text, caption in parts:
        similarity = scores(sensor, text, model.temperature)
        loss, accuracies = contrastive(similarity), in_batch_accuracy(similarity, caption)
        rows.append(torch.stack([loss, *accuracies]) * len(sensor))
    loss, to_text, to_sensor = (torch.stack(rows).sum(0) / len(sensor_ND)).tolist()
    return {"clip_loss": loss, "sensor_to_text_acc": to_text, "text_to_sensor_acc": to_sensor}


def _gathered(rows: Tensor, total: int) -> Tensor:
    """The rows of all workers in order, where each holds an equal run but for one row."""
    if workers() == 1:
        return rows
    most = -(-total // workers())
    padded = rows.new_zeros((most, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(workers())]
    dist.all_gather(parts, padded)
    sizes = [len(part) for part in np.array_split(np.arange(total), workers())]
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
