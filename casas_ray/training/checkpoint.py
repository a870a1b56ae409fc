"""A training's state as the files of a checkpoint, and back; enough to go on or to judge with
nothing else."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.config.base import differences
from casas_ray.errors import RefusedError
from casas_ray.files import sha256_of, shown
from casas_ray.records.checkpoint_files import (
    FORMAT,
    META,
    OPTIMIZER,
    WEIGHTS,
    Meta,
    read_meta,
    torn,
)
from casas_ray.sealed import write_sealed
from casas_ray.training.step import TrainState


def write(state: TrainState, folder: Path) -> None:
    """Put the files of the state's checkpoint into an empty folder."""
    save_file(_contiguous(state.eval_model.state_dict()), folder / WEIGHTS)
    save_file(_further_tensors(state), folder / OPTIMIZER)
    hashes = {name: sha256_of(folder / name) for name in (WEIGHTS, OPTIMIZER)}
    write_sealed(folder / META, _meta(state) | {"sha256": hashes})


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}


def _further_tensors(state: TrainState) -> dict[str, Tensor]:
    """The optimiser's moments; the weights that are trained, where an average is judged; the
    bank."""
    tensors = {
        f"moment.{index}.{name}": value
        for index, values in state.optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    if state.average is not None:
        tensors |= {f"trained.{name}": value for name, value in state.model.state_dict().items()}
    if state.bank is not None:
        tensors |= {f"bank.{name}": value for name, value in state.bank.tensors().items()}
    return _contiguous(tensors)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _meta(state: TrainState) -> Meta:
    return {
        "format": FORMAT,
        "step": state.step,
        "steps_per_epoch": state.steps_per_epoch,
        "best": state.best,
        "stale": state.stale,
        "recipe": state.recipe.model_dump(mode="json"),
        "about": state.about,
        "text_size": state.model.text_size,
    }


def tensors_of(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of one of a checkpoint's files.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return load_file(folder / name)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise torn(folder, f"{name}: {error}") from None


def load_weights(model: torch.nn.Module, folder: Path) -> None:
    """Put a checkpoint's weights into a model of the same shape.

    Raises:
        DataError: they are torn, or of another shape.
    """
    try:
        model.load_state_dict(tensors_of(folder, WEIGHTS))
    except RuntimeError as error:  # torch's word for tensors of another name or shape
        raise torn(folder, str(error).splitlines()[0]) from None


def restore(state: TrainState, folder: Path) -> TrainState:
    """A fresh state of the same recipe, brought to where a checkpoint left it.

    Raises:
        DataError: a file is missing, torn or altered.
        RefusedError: the checkpoint is of another recipe or another alignment set.
    """
    meta = read_meta(folder)
    _refuse_other(state, meta, folder)
    load_weights(state.eval_model, folder)
    further = tensors_of(folder, OPTIMIZER)
    # Where an average is judged, the weights file holds the average, not what is trained.
    if state.average is not None:
        state.model.load_state_dict(_with_prefix(further, "trained."))
    if state.bank is not None:
        for name, value in _with_prefix(further, "bank.").items():
            # In place, so that it stays on the state's device.
            getattr(state.bank, name).copy_(value)
    _restore_optimizer(state.optimizer, _with_prefix(further, "moment."))
    state.step, state.best, state.stale = meta["step"], meta["best"], meta["stale"]
    return state


def _refuse_other(state: TrainState, meta: Meta, folder: Path) -> None:
    changed = differences(Recipe.build(meta["recipe"]), state.recipe)
    if changed:
        raise RefusedError(
            f"{shown(folder)} is of another recipe; it differs in {_list(changed)}.",
            hint="resume with the recipe it was started with, or start a new run.",
        )
    if meta["about"].get("fingerprint") != state.about.get("fingerprint"):
        raise RefusedError(
            f"{shown(folder)} was trained on another alignment set.",
            hint="the log, the home's facts or the preparing code changed; start a new run.",
        )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    values: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        values.setdefault(int(index), {})[name] = tensor
    # The rates of the groups stay the fresh ones: each step sets its own.
    optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
