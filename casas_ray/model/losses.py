"""The losses, and what makes them the same on any number of workers."""

# B pairs on this worker, G pairs over all workers, D embedding size, T text size, K pairs of the
# bank, F fields, M masked events on this worker, V ids of a field

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from casas_ray.config import LossConfig


class _Gather(torch.autograd.Function):
    """All workers' rows in rank order; the gradient of a row comes back from every worker."""

    @staticmethod
    def forward(ctx: Any, x_BD: Tensor) -> Tensor:  # Any: torch's own context type
        parts = [torch.empty_like(x_BD) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x_BD.contiguous())
        ctx.rows = len(x_BD)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # Any: as above
        (grad_GD,) = grads
        # A copy: autograd may use the gradient it hands out elsewhere too.
        grad_GD = grad_GD.clone(memory_format=torch.contiguous_format)
        # The sum, not the mean: every worker has the loss of the whole batch, so the sum is too
        # much by the number of workers, and `average_gradients` takes just that away again.
        dist.all_reduce(grad_GD)
        start = dist.get_rank() * ctx.rows
        return grad_GD[start : start + ctx.rows]


def workers() -> int:
    """The number of workers that train together; 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(x_BD: Tensor) -> Tensor:
    """The rows of all workers in rank order, G x D; under gradients averaged over workers, the
    gradient is exact."""
    # Not `dist.all_gather`: it has no gradient, and its rows of other workers would teach nothing.
    return _Gather.apply(x_BD) if workers() > 1 else x_BD  # pyright: ignore[reportReturnType]


def summed(value: Tensor) -> Tensor:
    """The sum over all workers of a tensor of any shape, without a gradient."""
    total = value.detach().clone()
    if workers() > 1:
        dist.all_reduce(total)
    return total


def scores(sensor_GD: Tensor, text_GD: Tensor, temperature: Tensor) -> Tensor:
    """Cosine similarities over the temperature (a scalar), G x G; both sides must be unit
    vectors."""
    return sensor_GD @ text_GD.T / temperature


def alike(caption_G: Tensor, span_G2: Tensor, caption_K: Tensor, span_K2: Tensor) -> Tensor:
    """Which pairs say the same, G x K: an equal caption, or windows with an event in common."""
    known_GK = (span_G2[:, None, 0] >= 0) & (span_K2[None, :, 0] >= 0)
    apart_GK = (span_G2[:, None, 1] <= span_K2[None, :, 0]) | (
        span_K2[None, :, 1] <= span_G2[:, None, 0]
    )
    return (caption_G[:, None] == caption_K[None, :]) | (known_GK & ~apart_GK)


@dataclass(frozen=True)
class Goal:
    """What the scores of G windows and G captions ought to be."""

    target_GG: Tensor
    """A row a window: how far each caption is its own. `contrastive` makes rows sum to 1, and for
    the other direction columns."""

    ignored_GG: Tensor | None = None
    """Pairs that are neither right nor wrong."""


def goal_of(same_GG: Tensor, text_GT: Tensor, config: LossConfig) -> Goal:
    """The goal of a batch; `same_GG` marks pairs that say the same, the diagonal included.

    Soft targets mix in the similarity of the text model's vectors, `text_GT`.
    """
    eye_GG = torch.eye(len(same_GG), dtype=torch.bool, device=same_GG.device)
    target_GG = (same_GG | eye_GG if config.duplicates == "shared" else eye_GG).to(text_GT.dtype)
    ignored_GG = same_GG & ~eye_GG if config.duplicates == "ignored" else None
    if config.soft_targets:
        unit_GT = F.normalize(text_GT, dim=-1)
        similar_GG = (unit_GT @ unit_GT.T / config.soft_temperature).softmax(1)
        hard_GG = target_GG / target_GG.sum(1, keepdim=True)
        target_GG = (1 - config.soft_targets) * hard_GG + config.soft_targets * similar_GG
    return Goal(target_GG, ignored_GG)


def contrastive(
    scores_GG: Tensor,
    goal: Goal | None = None,
    config: LossConfig | None = None,
    *,
    bias: Tensor | None = None,
    further: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The alignment loss, the mean of both directions; without a goal, InfoNCE on the diagonal.

    InfoNCE is after CLIP (Radford et al. 2021), the sigmoid loss after SigLIP (Zhai et al. 2023),
    the focal weight after Lin et al. (2017). `bias` is the sigmoid loss's, a scalar; `further` has
    more wrong scores for each window (G x K) and for each caption (G x K), -inf where there are
    none.
    """
    config = config or LossConfig()
    goal = goal or Goal(torch.eye(len(scores_GG), dtype=scores_GG.dtype, device=scores_GG.device))
    if config.kind == "sigmoid":
        return _sigmoid(scores_GG if bias is None else scores_GG + bias, goal)
    gamma = config.focal_gamma if config.kind == "focal" else 0.0
    text_GK, sensor_GK = further or (None, None)
    ignored_GG, target_GG = goal.ignored_GG, goal.target_GG
    to_text = _one_way(scores_GG, target_GG, ignored_GG, text_GK, gamma)
    turned_GG = None if ignored_GG is None else ignored_GG.T
    to_sensor = _one_way(scores_GG.T, target_GG.T, turned_GG, sensor_GK, gamma)
    return 0.5 * (to_text + to_sensor)


def _one_way(
    scores_GG: Tensor,
    target_GG: Tensor,
    ignored_GG: Tensor | None,
    wrong_GK: Tensor | None,
    gamma: float,
) -> Tensor:
    if ignored_GG is not None:
        scores_GG = scores_GG.masked_fill(ignored_GG, float("-inf"))
    everything = scores_GG if wrong_GK is None else torch.cat([scores_GG, wrong_GK], dim=1)
    log_share_GG = scores_GG - everything.logsumexp(1, keepdim=True)
    target_GG = target_GG / target_GG.sum(1, keepdim=True)
    if gamma:
        log_share_GG = log_share_GG * (1.0 - log_share_GG.exp()).pow(gamma)
    # An ignored pair's score is -inf and its target 0; their product must be 0.
    return -torch.where(target_GG > 0, log_share_GG * target_GG, 0.0).sum(1).mean()


def _sigmoid(logits_GG: Tensor, goal: Goal) -> Tensor:
    right_GG = goal.target_GG > 0
    loss_GG = -F.logsigmoid(torch.where(right_GG, logits_GG, -logits_GG))
    if goal.ignored_GG is not None:
        loss_GG = loss_GG.masked_fill(goal.ignored_GG, 0.0)
    return loss_GG.sum() / len(logits_GG)


def in_batch_accuracy(scores_GG: Tensor, caption_G: Tensor) -> tuple[Tensor, Tensor]:
    """Share of windows whose best caption is their own, and of captions whose best window is
    theirs.

    An equal caption counts as the window's own.
    """
    by_window = caption_G[scores_GG.argmax(1)] == caption_G
    by_caption = caption_G[scores_GG.argmax(0)] == caption_G
    return by_window.float().mean(), by_caption.float().mean()


def masked_counts(targets: Mapping[str, Tensor], *, alone: bool = False) -> Tensor:
    """How often each field is asked back, F, over all workers; `alone` leaves the others out."""
    here_F = (torch.stack([*targets.values()]) >= 0).sum(1).float()
    return here_F if alone else summed(here_F)


def masked_event_loss(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    *,
    alone: bool = False,
    counts_F: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of masked events: the mean over fields of the mean over what all workers
    are asked.

    `logits` has M x V a field and `targets` M, negative where the field is not asked back. The
    value and, under gradients averaged over workers, its gradient are those of one worker with all
    of them. `alone` leaves the other workers out. `counts_F`, of the whole batch over all workers,
    makes this the part that a piece of the batch adds.
    """
    # Sums here and counts over all workers: workers have unlike numbers of masked events, so a mean
    # of their means would weigh events unequally.
    here_F = torch.stack(
        [
            F.cross_entropy(logits[field], targets[field], reduction="sum", ignore_index=-100)
            for field in logits
        ]
    )
    is_piece = counts_F is not None
    counts_F = masked_counts(targets, alone=alone) if counts_F is None else counts_F
    total = (here_F / counts_F.clamp(min=1.0)).sum() / (counts_F > 0).sum()
    return total if alone else over_workers(total, has_value=not is_piece)


def over_workers(part: Tensor, *, has_value: bool) -> Tensor:
    """A scalar that is the sum of every worker's part, of which this is the own one.

    Under gradients averaged over workers its gradient is exact; without `has_value` the value is
    not, and a message is spared.
    """
    if workers() == 1:
        return part
    # Value: the sum over workers. Gradient: the own part times the workers, since gradients are
    # averaged over workers afterwards.
    scaled = part * workers()
    # A piece needs no value over all workers: `Objective` sums it once, after the last piece.
    return scaled - scaled.detach() + summed(part) if has_value else scaled
