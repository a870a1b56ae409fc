"""One training step, and the state it moves on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from casas_ray.config import LossConfig, OptimConfig, Recipe
from casas_ray.errors import Diverged
from casas_ray.model.batch import Batch
from casas_ray.model.dual import DualEncoder, Encoded, targets
from casas_ray.model.losses import (
    contrastive,
    gather,
    in_batch_accuracy,
    masked_event_loss,
    scores,
    summed,
    workers,
)


@dataclass
class TrainState:
    """All that a run carries from step to step; with the recipe and the data it is the run."""

    recipe: Recipe
    model: DualEncoder
    optimizer: torch.optim.AdamW
    steps_per_epoch: int
    step: int = 0
    """Steps done."""

    best: dict[str, float] = field(default_factory=dict)
    """`step` and `value` of the best validation so far; empty before the first."""

    about: dict[str, Any] = field(default_factory=dict)
    """What the run was trained on: home, fingerprint and vocabulary of the alignment set."""

    @classmethod
    def fresh(
        cls,
        recipe: Recipe,
        *,
        sizes: Mapping[str, int],
        text_size: int,
        steps_per_epoch: int,
        device: torch.device,
        about: Mapping[str, Any],
    ) -> "TrainState":
        """The state before the first step; the weights depend on the recipe's seed alone."""
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            model = DualEncoder(recipe, sizes, text_size).to(device)
        optimizer = _optimizer(model, recipe.optim)
        return cls(recipe, model, optimizer, steps_per_epoch, about=dict(about))

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.recipe.optim.epochs

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.total_steps

    @property
    def validates_now(self) -> bool:
        """Whether the validation days are looked at after this step."""
        every = self.recipe.optim.validate_every
        return self.step % every == 0 or self.step % self.steps_per_epoch == 0

    def note(self, metrics: Mapping[str, float]) -> bool:
        """Whether this is the best validation so far, by the recipe's `select_by`; remembers it."""
        name = self.recipe.optim.select_by
        value, best = metrics[name], self.best.get("value")
        better = best is None or (value < best if name.endswith("loss") else value > best)
        if better:
            self.best = {"step": float(self.step), "value": value}
        return better


def _optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim >= 2]},
        # Biases, norms and the temperature are scales, not directions: decay would only shrink
        # them.
        {"params": [weight for weight in trained if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """The rate of the step with this number (from 0): a linear rise, then a cosine to 0."""
    warm = round(config.warmup_share * total)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def train_step(state: TrainState, batch: Batch) -> dict[str, Tensor | float]:
    """Move the state on by one step; the metrics are under `train/`, tensors still on the device.

    Raises:
        Diverged: the loss or the gradient is not finite; the weights are then untouched.
    """
    rate = learning_rate(state.step, state.total_steps, state.recipe.optim)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.zero_grad(set_to_none=True)
    losses = batch_losses(state.model, batch, state.recipe.loss)
    losses["total_loss"].backward()
    average_gradients(state.model)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), state.recipe.optim.gradient_clip)
    _refuse_non_finite(norm, losses["total_loss"], state.step)
    state.optimizer.step()
    state.model.clamp_temperature()
    state.step += 1
    epoch = state.step / state.steps_per_epoch
    losses["total_loss"] = losses["total_loss"].detach()
    extras = {"learning_rate": rate, "gradient_norm": norm, "epoch": epoch}
    return {f"train/{name}": value for name, value in (losses | extras).items()}


def batch_losses(model: DualEncoder, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """The loss of a batch over all workers, its parts and the in-batch accuracies."""
    encoded = model(batch)
    similarity_GG, caption_G = _all_pairs(encoded, batch, model.temperature)
    clip = contrastive(similarity_GG)
    mlm = masked_event_loss(encoded.masked, targets(batch))
    to_text, to_sensor = in_batch_accuracy(similarity_GG.detach(), caption_G)
    return {
        "total_loss": config.clip_weight * clip + config.mlm_weight * mlm,
        "clip_loss": clip.detach(),
        "mlm_loss": mlm.detach(),
        "sensor_to_text_acc": to_text,
        "text_to_sensor_acc": to_sensor,
        "temperature": model.temperature.detach(),
    }


def _all_pairs(encoded: Encoded, batch: Batch, temperature: Tensor) -> tuple[Tensor, Tensor]:
    similarity = scores(gather(encoded.sensor_BD), gather(encoded.text_BD), temperature)
    return similarity, gather(batch.caption_B)


def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over the workers, in one message."""
    if workers() == 1:
        return
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    flat /= workers()
    for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def _refuse_non_finite(norm: Tensor, loss: Tensor, step: int) -> None:
    # All workers have the same norm but not the same loss; they must stop together.
    if bool(torch.isfinite(summed(norm + loss.detach()))):
        return
    raise Diverged(
        f"the loss is {loss.item()} and the gradient norm {norm.item()} at step {step + 1}.",
        hint="lower optim.learning_rate, or raise loss.temperature_min.",
    )
