"""Files that may leave as W&B artifacts: the code, and the best model where it was asked for."""

import json
import logging
from pathlib import Path

import wandb

from casas_ray.errors import first_line
from casas_ray.records.provenance import CODE

log = logging.getLogger(__name__)


def send_code(run: wandb.Run, code: Path) -> None:
    """Send the code that git tracks, where a snapshot of it was taken."""
    if code.exists():
        _send_file(run, code, CODE, wandb.Artifact(f"code-{run.id}", type="code"))


def send_model(run: wandb.Run, folder: Path) -> None:
    """Send the best weights, which leave this machine only because the user asked for it."""
    best = json.loads((folder / "checkpoints" / "best.json").read_text(encoding="utf-8"))
    weights = folder / "checkpoints" / f"step-{int(best['step']):08d}" / "weights.safetensors"
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=best)
    _send_file(run, weights, weights.name, artifact)


def _send_file(run: wandb.Run, path: Path, name: str, artifact: wandb.Artifact) -> None:
    try:
        artifact.add_file(str(path), name=name)
        run.log_artifact(artifact)
    # Anything at all: wandb lets pydantic's errors out too, and whatever ails a file, the metrics
    # must go on.
    except Exception as error:
        log.warning("W&B has not taken %s: %s", name, first_line(error))
