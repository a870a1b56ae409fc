"""One training step, and the state it moves on."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from casas_ray.config import OptimConfig, Recipe
from casas_ray.errors import Diverged
from casas_ray.loader.batch import Batch
from casas_ray.model.dual import DualEncoder
from casas_ray.model.losses import summed, workers
from casas_ray.model.negatives import Bank
from casas_ray.model.objective import Objective
from casas_ray.training.devices import choose_attention, require_device, uses_bf16


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

    stale: int = 0
    """Validations since the best one."""

    about: dict[str, Any] = field(default_factory=dict)  # Any: what JSON holds
    """What the run was trained on: home, fingerprint and vocabulary of the alignment set."""

    average: DualEncoder | None = None
    """The moving average of the weights, where the recipe asks for one."""

    bank: Bank | None = None
    """Pairs of earlier steps, where the recipe asks for them."""

    @classmethod
    def fresh(
        cls,
        recipe: Recipe,
        *,
        sizes: Mapping[str, int],
        text_size: int,
        steps_per_epoch: int,
        device: torch.device,
        about: Mapping[str, Any],  # Any: what JSON holds
    ) -> "TrainState":
        """The state before the first step; the weights depend on the recipe's seed alone.

        Raises:
            SettingsError: the data lacks a field that the model asks for, or the device bf16 or
                CUDA graphs.
        """
        require_device(recipe.optim, device)
        if device.type == "cuda":
            choose_attention(recipe.model)
        model = _fresh_model(recipe, sizes, text_size, about.get("aggregates", 0)).to(device)
        # Before it is compiled: the compiled blocks of a copy would be those of the first one.
        average = copy.deepcopy(model).requires_grad_(False) if recipe.optim.ema_decay else None
        bank = None
        if recipe.loss.bank_size:
            bank = Bank.empty(recipe.loss.bank_size, recipe.model.embedding, device)
        optimizer = _optimizer(model, recipe.optim)
        model.compile_vectors(recipe.optim.compile)
        if _has_lasting_gradients(recipe.optim):
            for weight in model.parameters():
                weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
        return cls(
            recipe,
            model,
            optimizer,
            steps_per_epoch,
            about=dict(about),
            average=average,
            bank=bank,
        )

    @property
    def eval_model(self) -> DualEncoder:
        """The model that validation looks at: the average where there is one."""
        return self.average or self.model

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.optim.steps(self.steps_per_epoch)

    @property
    def is_done(self) -> bool:
        """Whether all steps are done, or no better validation came for too long."""
        patience = self.recipe.optim.patience
        return self.step >= self.total_steps or 0 < patience <= self.stale

    @property
    def validates_now(self) -> bool:
        """Whether the validation days are looked at after this step."""
        every = (self.recipe.optim.validate_every, self.steps_per_epoch, self.total_steps)
        return any(self.step % steps == 0 for steps in every)

    @property
    def is_best_now(self) -> bool:
        """Whether the validation after this very step is the best so far."""
        return self.best.get("step") == self.step

    def select(self, metrics: Mapping[str, float]) -> None:
        """Remember this validation if it is the best so far, by the recipe's `select_by`."""
        name = self.recipe.optim.select_by
        if is_better(metrics[name], self.best.get("value"), name):
            self.stale, self.best = 0, {"step": float(self.step), "value": metrics[name]}
        else:
            self.stale += 1


def _fresh_model(
    recipe: Recipe, sizes: Mapping[str, int], text_size: int, aggregates: int
) -> DualEncoder:
    with torch.random.fork_rng():
        # Made on the CPU and moved later: a GPU's generator would give the seed other weights.
        torch.manual_seed(recipe.seed)
        return DualEncoder(recipe, sizes, text_size, aggregates=aggregates)


def is_better(value: float, best: float | None, metric: str) -> bool:
    """Whether a validation is better than the best so far: a loss when lower, all else when higher,
    any number than NaN, which nothing is less or more than; of equals the first stands."""
    if best is None or math.isnan(best):
        return best is None or not math.isnan(value)
    return value < best if metric.endswith("loss") else value > best


def _has_lasting_gradients(config: OptimConfig) -> bool:
    """Whether gradients are added to tensors of their own: those that a CUDA graph puts out are
    overwritten when the next piece of a batch goes through it."""
    return config.compile == "cuda_graphs" and config.pieces > 1


def _optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    # The order of groups and weights numbers the moments in checkpoints: another order gives a
    # resumed run the moments of other weights.
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
    """The rate of the step with this number, from 0, of `total`: a linear rise, then a cosine
    (Loshchilov and Hutter 2017) to 0."""
    warm = round(config.warmup_share * total)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def train_step(
    state: TrainState, batch: Batch, *, in_detail: bool = False
) -> dict[str, Tensor | float]:
    """The metrics of one step, by which the state has moved on; they are under `train/`, tensors
    among them still on the device.

    `in_detail` adds metrics that cost something: how often each field of a masked event is guessed
    right.

    Raises:
        Diverged: the loss or the gradient is not finite; the weights are then untouched.
    """
    optim = state.recipe.optim
    rate = learning_rate(state.step, state.total_steps, optim)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.zero_grad(set_to_none=not _has_lasting_gradients(optim))
    bf16 = uses_bf16(optim, batch.real_BL.device)
    objective = Objective(state.model, state.recipe.loss, state.bank, bf16, in_detail)
    losses = objective.backward(batch, pieces=optim.pieces)
    # Averaged first, then clipped: the norm is the whole batch's, for any number of workers.
    average_gradients(state.model)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), optim.gradient_clip)
    _refuse_non_finite(norm, losses["total_loss"], state.step)
    state.optimizer.step()
    state.model.clamp_temperature()
    _move_average(state)
    state.step += 1
    epoch = state.step / state.steps_per_epoch
    extras = {"learning_rate": rate, "gradient_norm": norm, "epoch": epoch}
    return {f"train/{name}": value for name, value in (losses | extras).items()}


def wished_by_any(wish: bool, device: torch.device) -> bool:
    """Whether any worker wishes it: the same answer on all of them."""
    if workers() == 1:
        return wish
    # Else one worker would stop, and the others wait for it in the next step for ever.
    return bool(summed(torch.tensor(float(wish), device=device)))


@torch.no_grad()
def _move_average(state: TrainState) -> None:
    if state.average is None:
        return
    share = 1.0 - state.recipe.optim.ema_decay
    pairs = zip(state.average.parameters(), state.model.parameters(), strict=True)
    for averaged, trained in pairs:
        averaged.lerp_(trained, share)


def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over the workers, in one message."""
    if workers() == 1:
        return
    # Not DistributedDataParallel: pieces call backward several times, and its hooks would average
    # each. Weights without a gradient are the same on all workers, so the flat tensors fit.
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    flat /= workers()
    for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def _refuse_non_finite(norm: Tensor, loss: Tensor, step: int) -> None:
    """Refuse a step whose gradient norm or loss, both scalars, is not finite."""
    # All workers have the same norm but not the same loss; they must stop together.
    if bool(torch.isfinite(summed(norm + loss.detach()))):
        return
    raise Diverged(
        f"the loss is {loss.item()} and the gradient norm {norm.item()} at step {step + 1}.",
        hint="lower optim.learning_rate, or raise loss.temperature_min.",
    )
