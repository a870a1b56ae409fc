"""The checkpoints of a run's folder: which there are, which is whole, which is kept.

checkpoints/
  step-00000120/   weights.safetensors  optimizer.safetensors  meta.json

Each is whole or absent. Which step is the best is said by the ledger alone.
"""

import json
import logging
import shutil
import uuid
from pathlib import Path
from typing import Any

from casas_ray.errors import DataError
from casas_ray.files import shown
from casas_ray.records.checkpoint_files import META, NAME, OPTIMIZER, WEIGHTS, read_meta
from casas_ray.records.own_folder import STUDY_FILE, hint_for_run
from casas_ray.records.run_result import CHECKPOINTS, RunResult, checkpoint_folder

log = logging.getLogger(__name__)

About = dict[str, Any]  # Any: what JSON holds
"""What may be said of a checkpoint's weights outside of it."""


def prune(run: Path, step: int, *, keep: int, best: int) -> None:
    """Delete the checkpoints before this step's but for the newest `keep`, itself among them, and
    the best."""
    # Those beyond this step are of a run whose ledger was cut short: were they counted, the one
    # that was just written would be the oldest.
    done = [old for old in steps(run) if old <= step]
    for old in done[:-keep]:
        if old != best:
            shutil.rmtree(checkpoint_folder(run, old))


def steps(run: Path) -> list[int]:
    """The steps that have a checkpoint of ours, in order; whatever else lies there is not ours."""
    named = ((path, NAME.fullmatch(path.name)) for path in (run / CHECKPOINTS).glob("step-*"))
    return sorted(
        int(name[1]) for path, name in named if name and not path.is_symlink() and _is_one(path)
    )


def _is_one(folder: Path) -> bool:
    return any((folder / name).exists() for name in (META, WEIGHTS, OPTIMIZER))


def set_aside(run: Path) -> None:
    """Move a run's checkpoints, where it has some, out of the way of one that begins anew."""
    if steps(run):
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
    return _newest(run, steps(run))


def to_go_on_from(run: Path) -> Path | None:
    """The newest whole checkpoint that the run's ledger tells of; None for a run that begins."""
    # With a ledger cut short or gone, a later one would leave the run without its first rows.
    known = RunResult.read(run).checkpoint_steps
    return _newest(run, [step for step in steps(run) if step in known])


def _newest(run: Path, candidates: list[int]) -> Path | None:
    for step in reversed(candidates):
        folder = checkpoint_folder(run, step)
        try:
            read_meta(folder)
        except DataError as error:
            log.warning("%s; trying the one before", error.problem)
        else:
            return folder
    return None


def _without(run: Path) -> DataError:
    problem, hint = "", "did the run reach its first validation?"
    if not run.is_dir():
        problem, hint = ": there is no such folder", hint_for_run(run)
    elif (run / STUDY_FILE).is_file():
        problem, hint = ": it is a study", f"name one of its runs: `casas-ray runs {shown(run)}`."
    return DataError(f"{shown(run)} has no best checkpoint{problem}.", hint=hint)


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
        raise _without(run)
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


def about_file(folder: Path, run: Path) -> About:
    """What may be said of a checkpoint that stays here: its step, path within the run, size in
    bytes, hash and time of writing."""
    # This goes to W&B: never a path that shows where on this machine the run lies.
    path = folder / WEIGHTS
    said = json.loads((folder / META).read_bytes())  # checked when it was written, or found
    return {
        "step": int(folder.name.removeprefix("step-")),
        "local_path": str(path.relative_to(run)),
        "file_size": path.stat().st_size,
        "sha256": said["sha256"][WEIGHTS],
        "time": round(path.stat().st_mtime, 3),
    }
