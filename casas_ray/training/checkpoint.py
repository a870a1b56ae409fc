"""Checkpoints: safetensors and JSON, whole or absent, enough to go on or to judge with nothing
else.

checkpoints/
  step-00000120/   weights.safetensors  optimizer.safetensors  meta.json

Which step is the best is said by the ledger alone.
"""

import logging
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from casas_ray.config import Recipe
from casas_ray.config.base import differences
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import new_folder_over, sha256_of, shown
from casas_ray.records.run_result import CHECKPOINTS, RunResult, checkpoint_folder
from casas_ray.sealed import write_sealed
from casas_ray.training.checkpoint_files import (
    FORMAT,
    META,
    NAME,
    OPTIMIZER,
    WEIGHTS,
    Meta,
    read_meta,
    tensors_of,
    torn,
)
from casas_ray.training.step import TrainState

log = logging.getLogger(__name__)


def save(state: TrainState, run: Path, *, keep: int) -> Path:
    """The folder of the state's checkpoint, written now; of the older ones the newest `keep` and
    the best are kept."""
    target = checkpoint_folder(run, state.step)
    # Over an older one of this step, of a run that was taken up from an earlier step: `new_folder`
    # would let that stand.
    with new_folder_over(target) as draft:
        save_file(_contiguous(state.eval_model.state_dict()), draft / WEIGHTS)
        save_file(_further_tensors(state), draft / OPTIMIZER)
        meta = _meta(state) | {
            "sha256": {name: sha256_of(draft / name) for name in (WEIGHTS, OPTIMIZER)}
        }
        write_sealed(draft / META, meta)
    _prune(run, state.step, keep=keep, best=int(state.best.get("step", -1)))
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


def _prune(run: Path, step: int, *, keep: int, best: int) -> None:
    # Those beyond this step are of a run whose ledger was cut short: were they counted, the one
    # that was just written would be the oldest.
    steps = [old for old in _steps(run) if old <= step]
    for old in steps[:-keep]:
        if old != best:
            shutil.rmtree(checkpoint_folder(run, old))


def _steps(run: Path) -> list[int]:
    """The steps that have a checkpoint of ours, in order; whatever else lies there is not ours."""
    named = ((path, NAME.fullmatch(path.name)) for path in (run / CHECKPOINTS).glob("step-*"))
    return sorted(
        int(name[1]) for path, name in named if name and not path.is_symlink() and _is_one(path)
    )


def _is_one(folder: Path) -> bool:
    return any((folder / name).exists() for name in (META, WEIGHTS, OPTIMIZER))


def set_aside(run: Path) -> None:
    """Move a run's checkpoints, where it has some, out of the way of one that begins anew."""
    if _steps(run):
        aside = run / f"{CHECKPOINTS}-set-aside-{uuid.uuid4().hex[:8]}"
        log.warning(
            "%s: no checkpoint is whole and known to the ledger; the run begins anew, and they lie "
            "in %s",
            shown(run),
            aside.name,
        )
        (run / CHECKPOINTS).replace(aside)


def latest(run: Path) -> Path | None:
    """The newest checkpoint whose files are whole; a damaged one is passed over with a warning."""
    return _newest(run, _steps(run))


def to_go_on_from(run: Path) -> Path | None:
    """The newest whole checkpoint that the run's ledger tells of; None for a run that begins."""
    # With a ledger cut short or gone, a later one would leave the run without its first rows.
    known = RunResult.read(run).checkpoint_steps
    return _newest(run, [step for step in _steps(run) if step in known])


def _newest(run: Path, steps: list[int]) -> Path | None:
    for step in reversed(steps):
        folder = checkpoint_folder(run, step)
        try:
            read_meta(folder)
        except DataError as error:
            log.warning("%s; trying the one before", error.problem)
        else:
            return folder
    return None


def best(run: Path) -> Path:
    """The checkpoint that validation chose, as the run's ledger says.

    Raises:
        DataError: the run has none.
        RefusedError: another version of this package wrote it.
    """
    if run.is_file():
        raise DataError(
            f"{shown(run)} is a file; wanted the folder of a run.",
            hint="pickled checkpoints can run code and are never opened; ours are safetensors.",
        )
    step = _best_step(run)
    if step is None:
        raise DataError(
            f"{shown(run)} has no best checkpoint.", hint="did the run reach its first validation?"
        )
    folder = checkpoint_folder(run, step)
    if not folder.is_dir():
        # Killed between the ledger's row and the checkpoint: going on writes it.
        raise DataError(
            f"{shown(run)} has no checkpoint of step {step}, which its ledger calls the best.",
            hint="the command that started the run, given again, goes on and writes it.",
        )
    return folder


def _best_step(run: Path) -> int | None:
    result = RunResult.read(run)
    if result.rows:
        return result.best_step
    # Weights handed on without their ledger: then nothing else says it, and nothing contradicts.
    newest = latest(run)
    best = read_meta(newest)["best"] if newest else {}
    return int(best["step"]) if best else None


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
