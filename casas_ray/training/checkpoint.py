"""Checkpoints: safetensors and JSON, whole or absent, enough to go on or to judge with nothing
else.

checkpoints/
  step-00000120/   weights.safetensors  optimizer.safetensors  meta.json
  best.json        which step is the best, and its value
"""

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.config.base import differences
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import new_folder, sha256_of, shown, write_json
from casas_ray.training.step import TrainState

log = logging.getLogger(__name__)

Meta = dict[str, Any]  # Any: what JSON holds

FORMAT = 3
"""2 had another GELU: its weights would load, and mean something else."""

# Names on the disks of everybody who trains, as are the keys of `_meta` and the prefixes below.
WEIGHTS, OPTIMIZER, META, BEST = (
    "weights.safetensors",
    "optimizer.safetensors",
    "meta.json",
    "best.json",
)


def save(state: TrainState, run: Path, *, keep: int) -> Path:
    """The folder of the state's checkpoint, written now; of the older ones the newest `keep` and
    the best are kept."""
    target = run / "checkpoints" / f"step-{state.step:08d}"
    if target.exists():
        # Of a run that was taken up from an earlier step: `new_folder` would let the old one stand.
        shutil.rmtree(target)
    with new_folder(target) as draft:
        save_file(_contiguous(state.eval_model.state_dict()), draft / WEIGHTS)
        save_file(_further_tensors(state), draft / OPTIMIZER)
        meta = _meta(state) | {
            "sha256": {name: sha256_of(draft / name) for name in (WEIGHTS, OPTIMIZER)}
        }
        write_json(draft / META, meta)
    # In this order: killed in between, best.json names a checkpoint that is there, never one that
    # is still to be written or already pruned.
    if state.best.get("step") == state.step:
        write_json(target.parent / BEST, state.best)
    _prune(target.parent, keep=keep, best=int(state.best.get("step", -1)))
    return target


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


def _prune(folder: Path, *, keep: int, best: int) -> None:
    # Eight digits each, so that names sort as steps do; drafts begin with a dot and are left alone.
    steps = sorted(folder.glob("step-*"))
    for old in steps[:-keep]:
        if old.name != f"step-{best:08d}":
            shutil.rmtree(old)


def latest(run: Path) -> Path | None:
    """The newest checkpoint whose files are whole; a damaged one is passed over with a warning."""
    for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        try:
            read_meta(folder)
        except DataError as error:
            log.warning("%s; trying the one before", error.problem)
        else:
            return folder
    return None


def best(run: Path) -> Path:
    """The checkpoint that validation chose.

    Raises:
        DataError: the run has none.
    """
    if run.is_file():
        raise DataError(
            f"{shown(run)} is a file; wanted the folder of a run.",
            hint="pickled checkpoints can run code and are never opened; ours are safetensors.",
        )
    try:
        step = json.loads((run / "checkpoints" / BEST).read_text(encoding="utf-8"))["step"]
    except (OSError, ValueError, KeyError):
        raise DataError(
            f"{shown(run)} has no best checkpoint.", hint="did the run reach its first validation?"
        ) from None
    return run / "checkpoints" / f"step-{int(step):08d}"


def read_meta(folder: Path) -> Meta:
    """What a checkpoint says of itself, after its files' hashes were checked.

    Raises:
        DataError: a file is missing, torn or altered.
        RefusedError: another version of this package wrote it.
    """
    meta = _sound_meta(folder)
    if meta is None:
        raise DataError(
            f"{shown(folder)} is torn or altered.",
            hint="its hashes do not fit its files; use an earlier checkpoint.",
        )
    if meta["format"] != FORMAT:
        raise RefusedError(
            f"{shown(folder)} is of format {meta['format']}; this version reads {FORMAT}.",
            hint="use it with the version that trained it, or train anew in another folder.",
        )
    return meta


def _sound_meta(folder: Path) -> Meta | None:
    """The meta of a checkpoint whose files have the hashes it says, else None."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        hashes = {name: sha256_of(folder / name) for name in (WEIGHTS, OPTIMIZER)}
        return meta if meta["format"] and meta["sha256"] == hashes else None
    except (OSError, ValueError, KeyError):
        return None


def about_file(folder: Path, run: Path) -> Meta:
    """What may be said of a checkpoint that stays here: its step, path within the run, size in
    bytes, hash and time of writing."""
    # This goes to W&B: never a path that shows where on this machine the run lies.
    path = folder / WEIGHTS
    return {
        "step": int(folder.name.removeprefix("step-")),
        "local_path": str(path.relative_to(run)),
        "file_size": path.stat().st_size,
        "sha256": sha256_of(path),
        "time": round(path.stat().st_mtime, 3),
    }


def load_weights(model: torch.nn.Module, folder: Path) -> None:
    """Put a checkpoint's weights into a model of the same shape."""
    model.load_state_dict(load_file(folder / WEIGHTS))


def restore(state: TrainState, folder: Path) -> TrainState:
    """A fresh state of the same recipe, brought to where a checkpoint left it.

    Raises:
        DataError: a file is missing, torn or altered.
        RefusedError: the checkpoint is of another recipe or another alignment set.
    """
    meta = read_meta(folder)
    _refuse_other(state, meta, folder)
    load_weights(state.eval_model, folder)
    further = load_file(folder / OPTIMIZER)
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
