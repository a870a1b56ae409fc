"""The one look at the test days: a run's best checkpoint, judged and remembered, beside what is
cheaper."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import RefusedError
from casas_ray.evals.probe import counted, difference_over_days, encoded, majority, probe
from casas_ray.evals.validation import held_out
from casas_ray.model import checkpoint
from casas_ray.model.dual import DualEncoder
from casas_ray.model.shard import Shard

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
    models = {name: _model(recipe, meta) for name in ("untrained", "trained")}
    checkpoint.load_weights(models["trained"], folder)
    for name, model in models.items():
        found = held_out(model, test, tensors, recipe, first=0, total=len(test))
        verdict[name] = {f"test/{metric}": value for metric, value in found.items()}
    _add_probes(verdict, models, prepared, tensors, judged="test")
    (run / VERDICT).write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    return verdict


def look(run: Path, prepared: PreparedSet, vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Probes of the run's best checkpoint on validation days, for choosing between recipes.

    Raises:
        DataError: the run has no whole best checkpoint.
        SetupError: scikit-learn is not installed.
    """
    folder = checkpoint.best(run)
    meta = checkpoint.read_meta(folder)
    recipe = Recipe.build(meta["recipe"])
    verdict: dict[str, Any] = {"step": meta["step"], "caveats": list(prepared.caveats)}
    models = {name: _model(recipe, meta) for name in ("untrained", "trained")}
    checkpoint.load_weights(models["trained"], folder)
    _add_probes(verdict, models, prepared, torch.from_numpy(vectors), judged="val")
    return verdict


def _add_probes(
    verdict: dict[str, Any],
    models: dict[str, DualEncoder],
    prepared: PreparedSet,
    texts: torch.Tensor,
    *,
    judged: str,
) -> None:
    """Columns of probe scores: the models', sensor counts', and the most frequent label's."""
    if len(set(prepared.windows("train").column("label").to_pylist())) < 2:
        return  # nobody labelled this home: there is nothing to probe for
    splits = ["train", "val"] + (["test"] if judged == "test" else [])
    told = {
        name: probe(encoded(model.eval(), prepared, texts, splits), judged=judged)
        for name, model in models.items()
    }
    counts = counted(prepared, splits)
    told["sensor counts"] = probe(counts, judged=judged)
    columns = {name: one.scores for name, one in told.items()}
    columns["majority"] = majority(counts, judged=judged)
    for name, scores in columns.items():
        named = {f"{judged}/probe_{metric}": value for metric, value in scores.items()}
        verdict[name] = verdict.get(name, {}) | named
    low, high = difference_over_days(told["trained"], told["sensor counts"])
    verdict["trained less sensor counts"] = [low, high]


def _model(recipe: Recipe, meta: dict[str, Any]) -> DualEncoder:
    sizes = {field: len(values) for field, values in meta["about"]["vocabulary"].items()}
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return DualEncoder(recipe, sizes, meta["text_size"])
