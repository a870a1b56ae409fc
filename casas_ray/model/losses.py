"""The losses, and what makes them the same on any number of workers."""

# B pairs on this worker, G pairs over all workers, D embedding size

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


class _Gather(torch.autograd.Function):
    """All workers' rows in rank order; the gradient of a row comes back from every worker."""

    @staticmethod
    def forward(ctx: Any, x_BD: Tensor) -> Tensor:  # Any: torch's own context type
        parts = [torch.empty_like(x_BD) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x_BD.contiguous())
        ctx.rows = len(x_BD)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad_GD,) = grads
        grad_GD = grad_GD.contiguous()
        dist.all_reduce(grad_GD)
        start = dist.get_rank() * ctx.rows
        return grad_GD[start : start + ctx.rows]


def workers() -> int:
    """How many workers train together; 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(x_BD: Tensor) -> Tensor:
    """G x D: the rows of all workers. Under gradients averaged over workers, the gradient is
    exact."""
    return _Gather.apply(x_BD) if workers() > 1 else x_BD  # pyright: ignore[reportReturnType]


def summed(value: Tensor) -> Tensor:
    """The sum over all workers, without a gradient."""
    total = value.detach().clone()
    if workers() > 1:
        dist.all_reduce(total)
    return total


def scores(sensor_GD: Tensor, text_GD: Tensor, temperature: Tensor) -> Tensor:
    """G x G cosine similarities over the temperature; both sides must be unit vectors."""
    return sensor_GD @ text_GD.T / temperature


def contrastive(scores_GG: Tensor) -> Tensor:
    """InfoNCE (van den Oord et al. 2018), the mean of both directions; the pair is the diagonal."""
    target = torch.arange(len(scores_GG), device=scores_GG.device)
    to_text = F.cross_entropy(scores_GG, target)
    to_sensor = F.cross_entropy(scores_GG.T, target)
    return 0.5 * (to_text + to_sensor)


def in_batch_accuracy(scores_GG: Tensor, caption_G: Tensor) -> tuple[Tensor, Tensor]:
    """Share of windows whose best caption is their own, and of captions whose best window is
    theirs.

    An equal caption counts as the window's own.
    """
    by_window = caption_G[scores_GG.argmax(1)] == caption_G
    by_caption = caption_G[scores_GG.argmax(0)] == caption_G
    return by_window.float().mean(), by_caption.float().mean()


def masked_event_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], *, alone: bool = False
) -> Tensor:
    """Cross-entropy of masked events, the mean over fields and over the masked events of all
    workers.

    `logits` has M x V a field and `targets` M, for the M masked events of this worker. The value
    and, under gradients averaged over workers, its gradient are those of one worker with all of
    them. `alone` leaves the other workers out.
    """
    here = [F.cross_entropy(logits[field], targets[field], reduction="sum") for field in logits]
    total = torch.stack(here).mean()
    count = total.new_tensor(float(len(next(iter(targets.values())))))
    if alone or workers() == 1:
        return total / count
    # Value: the sum over workers. Gradient: the own part times the workers, since gradients are
    # averaged over workers afterwards.
    scaled = total * workers()
    return (scaled - scaled.detach() + summed(total)) / summed(count)
