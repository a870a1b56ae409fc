"""The training loop, whole on one screen; the same in a worker, a trial and a debugger."""

import functools
from bdb import BdbQuit
from collections.abc import Callable

import torch

from casas_ray.config import Recipe, flat
from casas_ray.errors import AllFailed, CasasError, Diverged
from casas_ray.loader.loader import Loader
from casas_ray.records.provenance import environment
from casas_ray.training import checkpoint
from casas_ray.training.recorder import RunRecorder
from casas_ray.training.step import TrainState, train_step, wished_by_any
from casas_ray.training.validation import validate


def train(recorder: RunRecorder, recipe: Recipe, loader: Loader) -> TrainState:
    """The state at the end of a training on this worker's windows, or where it was asked to stop;
    from the run's last checkpoint when it has one.

    Raises:
        Diverged: a loss or a gradient is not finite.
        RefusedError: the run's checkpoint is of another recipe or alignment set.
    """
    state = start(recorder, recipe, loader)
    validated = functools.partial(validate, loader=loader, recipe=recipe)
    # A run taken up before its first checkpoint validates again: its earlier rows were dropped.
    if state.step == 0:
        recorder.report(0, validated(state.eval_model))
    for batch in recorder.timer.timed(loader.batches(start=state.step)):
        # Asked before the step: a run may be taken up when it was done but had not said so.
        if state.is_done:
            break
        # Between steps only: what is stopped here and taken up is the run that never stopped.
        if wished_by_any(recorder.context.is_asked_to_stop(), loader.device):
            recorder.stop(state)
            return state
        losses = train_step(state, batch, in_detail=recorder.wants_log(state.step + 1))
        if recorder.wants_log(state.step):
            recorder.report_training(state.step, losses, batch_size=recipe.optim.batch_size)
        if recorder.wants_histograms(state.step):
            recorder.report_histograms(state)
        if state.validates_now:
            metrics = validated(state.eval_model)
            # Chosen before it is recorded: the row and the checkpoint say whether it is the best.
            state.select(metrics)
            recorder.report(state.step, metrics, checkpoint_of=state)
    recorder.finish(state)
    return state


def start(recorder: RunRecorder, recipe: Recipe, loader: Loader) -> TrainState:
    """A fresh state, or the one that the run's last checkpoint holds."""
    state = TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=loader.vectors_NT.shape[1],
        steps_per_epoch=loader.sampler.steps_per_epoch,
        device=loader.device,
        about=loader.facts.about,
    )
    with recorder.store.last() as last:
        if last is not None:
            state = checkpoint.restore(state, last)
    recorder.begin(state, _info(state, recorder))
    return state


def train_to_the_end(
    recorder: RunRecorder, recipe: Recipe, open_loader: Callable[[], Loader]
) -> None:
    """Open the data, train, and write into the ledger how it ended, whatever happens.

    A run that diverges ends here with its status; any other error is recorded and flies on.

    Raises:
        AllFailed: the memory did not do.
    """
    try:
        train(recorder, recipe, open_loader())
    except Diverged as error:
        # A result, not a failure: it must not be tried again, for it would diverge again.
        recorder.end("diverged", error.problem)
    except (KeyboardInterrupt, SystemExit):
        recorder.end("stopped", "interrupted")
        raise
    except BdbQuit:  # `q` in a debugger is a wish, as Ctrl-C is
        recorder.end("stopped", "left the debugger")
        raise KeyboardInterrupt from None
    except Exception as error:
        no_memory = out_of_memory(error, recipe)
        reason = no_memory or error
        known = isinstance(reason, CasasError)
        # A trial's hint is shown nowhere else.
        more = f" What helps: {no_memory.hint}" if no_memory else ""
        told = reason.problem + more if known else f"{type(error).__name__}: {error}"
        recorder.end("failed", told)
        if no_memory is not None:
            raise no_memory from error
        raise


def out_of_memory(error: Exception, recipe: Recipe) -> AllFailed | None:
    """The error to raise when the memory of a device or of the machine did not do, else None."""
    # On a CPU torch's allocator and oneDNN raise a plain RuntimeError; its words alone tell it.
    said = str(error)
    if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and not (
        "can't allocate memory" in said or said == "could not create a primitive"
    ):
        return None
    return AllFailed(
        f"out of memory with {recipe.optim.batch_size} pairs in {recipe.optim.pieces} piece(s), "
        f"width {recipe.model.width}.",
        hint="raise optim.pieces (the loss stays the same), or lower optim.batch_size.",
    )


def _info(state: TrainState, recorder: RunRecorder) -> dict[str, object]:
    # Without the vocabulary: it is long, names a home's sensors, and lies in every checkpoint.
    about = {name: value for name, value in state.about.items() if name != "vocabulary"}
    weights = [weight for weight in state.model.parameters() if weight.requires_grad]
    return {
        **about,
        **recorder.code,
        **environment(),
        "recipe": flat(state.recipe),
        "total_steps": state.total_steps,
        "steps_per_epoch": state.steps_per_epoch,
        "trainable_parameters": sum(weight.numel() for weight in weights),
        "workers": recorder.context.world_size,
        # What the last bits of a number depend on besides the recipe.
        "threads": torch.get_num_threads(),
        "device": next(state.model.parameters()).device.type,
    }
