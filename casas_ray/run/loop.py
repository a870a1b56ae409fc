"""The training loop, whole on one screen; the same for every seat."""

import functools
from collections.abc import Callable

import torch

from casas_ray.config import Recipe
from casas_ray.errors import AllFailed, CasasError, Diverged
from casas_ray.evals.validation import validate
from casas_ray.model import checkpoint
from casas_ray.model.feed import Shards
from casas_ray.model.step import TrainState, train_step
from casas_ray.run.provenance import provenance
from casas_ray.run.seats import Seat
from casas_ray.settings import flat


def train(seat: Seat, recipe: Recipe, shards: Shards) -> TrainState:
    """Train on this worker's shard, from the run's last checkpoint when it has one."""
    state = start(seat, recipe, shards)
    look = functools.partial(
        validate, first=shards.val_first, total=shards.source.val_windows, recipe=recipe
    )
    if state.step == 0:
        seat.report(0, look(state.judged, shards.val, shards.train.vectors))
    for batch in seat.timed(shards.train.batches(start=state.step)):
        if state.is_done:
            break
        losses = train_step(state, batch, in_detail=seat.wants_log(state.step + 1))
        if seat.wants_log(state.step):
            seat.report_training(state.step, losses, batch_size=recipe.optim.batch_size)
        if seat.wants_histograms(state.step):
            seat.report_histograms(state)
        if state.validates_now:
            metrics = look(state.judged, shards.val, shards.train.vectors)
            seat.report(state.step, metrics, checkpoint_of=state)
    seat.finish(state)
    return state


def start(seat: Seat, recipe: Recipe, shards: Shards) -> TrainState:
    """A fresh state, or the one that the run's last checkpoint holds."""
    state = TrainState.fresh(
        recipe,
        sizes=shards.source.sizes(),
        text_size=shards.train.vectors.shape[1],
        steps_per_epoch=shards.train.lanes.steps_per_epoch,
        device=shards.device,
        about=shards.source.about,
    )
    last = checkpoint.latest(seat.folder)
    if last is not None:
        state = checkpoint.restore(state, last)
    seat.begin(state, _info(state, seat))
    return state


def train_to_the_end(seat: Seat, recipe: Recipe, open_shards: Callable[[], Shards]) -> None:
    """Open the shards, train, and write into the ledger how it ended, whatever happens.

    A run that diverges ends here with its status; any other error is recorded and flies on.
    """
    try:
        train(seat, recipe, open_shards())
    except Diverged as error:
        seat.end("diverged", error.problem)
    except KeyboardInterrupt:
        seat.end("stopped", "interrupted")
        raise
    except Exception as error:
        known = out_of_memory(error, recipe)
        said = known or error
        text = said.problem if isinstance(said, CasasError) else f"{type(error).__name__}: {error}"
        seat.end("failed", text)
        if known is not None:
            raise known from error
        raise


def out_of_memory(error: Exception, recipe: Recipe) -> AllFailed | None:
    """What to say when the memory of a device or of the machine did not do."""
    if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and (
        "can't allocate memory" not in str(error)
    ):
        return None
    return AllFailed(
        f"out of memory with {recipe.optim.batch_size} pairs in {recipe.optim.pieces} piece(s), "
        f"width {recipe.model.width}.",
        hint="raise optim.pieces (the loss stays the same), or lower optim.batch_size.",
    )


def _info(state: TrainState, seat: Seat) -> dict[str, object]:
    about = {name: value for name, value in state.about.items() if name != "vocabulary"}
    weights = [weight for weight in state.model.parameters() if weight.requires_grad]
    return {
        **about,
        **provenance(),
        "recipe": flat(state.recipe),
        "total_steps": state.total_steps,
        "trainable_parameters": sum(weight.numel() for weight in weights),
        "workers": seat.world_size,
    }
