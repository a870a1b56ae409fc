"""Files that may leave as W&B artifacts: the code, and the best model where it was asked for."""

import logging
from collections.abc import Mapping
from pathlib import Path

import wandb

from casas_ray.errors import first_line
from casas_ray.records.provenance import CODE

log = logging.getLogger(__name__)


def send_code(run: wandb.Run, code: Path | None) -> None:
    """Send the code that git tracks, where a snapshot of it goes with the run."""
    if code is not None:
        _send_file(run, code, CODE, wandb.Artifact(f"code-{run.id}", type="code"))


def send_model(run: wandb.Run, weights: Path | None, best: Mapping[str, float]) -> None:
    """Send the best weights with their metrics, where they leave this machine."""
    if weights is not None:
        artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=dict(best))
        _send_file(run, weights, weights.name, artifact)


def _send_file(run: wandb.Run, path: Path, name: str, artifact: wandb.Artifact) -> None:
    try:
        artifact.add_file(str(path), name=name)
        run.log_artifact(artifact)
    # Anything at all: wandb lets pydantic's errors out too, and whatever ails a file, the metrics
    # must go on.
    except Exception as error:
        log.warning("W&B has not taken %s: %s", name, first_line(error))
