"""Files that may leave as W&B artifacts: the code, and the best model where it was asked for."""

import logging
from pathlib import Path

import wandb

from casas_ray.records.provenance import CODE
from casas_ray.records.run_result import RunResult, checkpoint_folder

log = logging.getLogger(__name__)


def send_code(run: wandb.Run, code: Path) -> None:
    """Send the code that git tracks, where a snapshot of it was taken."""
    if code.exists():
        _send_file(run, code, CODE, wandb.Artifact(f"code-{run.id}", type="code"))


def send_model(run: wandb.Run, folder: Path) -> None:
    """Send the best weights, which leave this machine only because the user asked for it."""
    result = RunResult.read(folder)
    if result.best_step is None:
        return
    metadata = {"step": result.best_step, **result.best()}
    weights = checkpoint_folder(folder, result.best_step) / "weights.safetensors"
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=metadata)
    _send_file(run, weights, weights.name, artifact)


def _send_file(run: wandb.Run, path: Path, name: str, artifact: wandb.Artifact) -> None:
    try:
        artifact.add_file(str(path), name=name)
        run.log_artifact(artifact)
    # Anything at all: wandb lets pydantic's errors out too, and whatever ails a file, the metrics
    # must go on.
    except Exception as error:
        log.warning("W&B has not taken %s: %s", name, str(error).splitlines()[0])
