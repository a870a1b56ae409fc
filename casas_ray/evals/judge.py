"""The one look at the test days: a run's best checkpoint, judged and remembered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import RefusedError
from casas_ray.evals.validation import held_out
from casas_ray.model import checkpoint
from casas_ray.model.batch import Shard
from casas_ray.model.dual import DualEncoder

VERDICT = "test.json"


def recorded(run: Path) -> dict[str, Any] | None:
    """The verdict that the run was given before, or None."""
    path = run / VERDICT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def judge(run: Path, prepared: PreparedSet, vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Metrics of the run's best checkpoint on the test days, beside an untrained model's.

    Written once; a second call gives the first one's answer.

    Raises:
        DataError: the run has no whole best checkpoint.
        RefusedError: the set is not the one the run was trained on.
    """
    if (before := recorded(run)) is not None:
        return before
    folder = checkpoint.best(run)
    meta = checkpoint.read_meta(folder)
    if meta["about"]["fingerprint"] != prepared.fingerprint:
        raise RefusedError(
            f"run '{run.name}' was trained on another alignment set than {prepared.folder.name}.",
            hint="its test days may be among the training days of that run.",
        )
    recipe = Recipe.build(meta["recipe"])
    test, tensors = Shard.of(prepared.windows("test")), torch.from_numpy(vectors)
    verdict = {"step": meta["step"], "caveats": list(prepared.caveats)}
    for name in ("untrained", "trained"):
        model = _model(recipe, meta)
        if name == "trained":
            checkpoint.load_weights(model, folder)
        found = held_out(model, test, tensors, recipe, first=0, total=len(test))
        verdict[name] = {f"test/{metric}": value for metric, value in found.items()}
    (run / VERDICT).write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    return verdict


def _model(recipe: Recipe, meta: dict[str, Any]) -> DualEncoder:
    sizes = {field: len(values) for field, values in meta["about"]["vocabulary"].items()}
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return DualEncoder(recipe, sizes, meta["text_size"])
