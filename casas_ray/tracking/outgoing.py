"""Each W&B run as plain values before it is sent: the mirrors send these, and `audit` shows these.

So that what is shown is what is sent, nothing goes to W&B that does not come from here.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casas_ray.config import Recipe, Tracking
from casas_ray.records.provenance import CODE
from casas_ray.records.rows import Row
from casas_ray.records.run_record import RunRecord, is_simulated, tags_of
from casas_ray.records.run_result import RunResult, checkpoint_folder
from casas_ray.records.study_record import StudyRecord
from casas_ray.records.verdict import Verdict, recorded_verdict
from casas_ray.tracking.names import fitted, fitted_project, fitted_tags, hashed
from casas_ray.tracking.privacy import sent_config, sent_model, sent_verdict
from casas_ray.wandb_config import group_of

Json = dict[str, Any]  # Any: what wandb.init or its log takes, by name
Cell = str | float | None
STATUS, GRAPH = "training/status", "graph_0"


@dataclass(frozen=True)
class Summary:
    """A whole study: its comparison as rows under a header, and (step, value) by arm."""

    record: StudyRecord
    rows: Sequence[Sequence[Cell]]
    curves: Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Outgoing:
    """One W&B run, whole."""

    about: Json
    """What `wandb.init` is told."""

    rows: Sequence[Json] = ()
    """What is logged, call by call."""

    summary: Sequence[str] = ()
    """What is written into its summary besides."""

    parts: Sequence[str] = ()
    """The parts of the model that its graph shows."""

    files: Mapping[str, Path] | None = None
    """By type of artifact the file that goes."""


def about_run(record: RunRecord, info: Mapping[str, Any]) -> Json:  # Any: what JSON holds
    """What `wandb.init` is told of a run; `info` is what its ledger says at the start."""
    name = record.name if record.group else record.tracking.name or record.name
    return {
        "id": run_id(record),
        **_place(record.tracking),
        "name": _named(name, record.marks),
        "group": fitted(record.tracking.group or record.group or _usual_group(record.recipe)),
        "job_type": "tune" if record.group else "train",
        "tags": fitted_tags(record.tags()),
        "notes": record.tracking.notes,
        "config": sent_config(info) | {"quick": record.quick},
    }


def about_verdict(record: RunRecord) -> Json:
    """What `wandb.init` is told of the look at a run's test days."""
    about = about_run(record, {"caveats": list(record.caveats)})
    name = record.name if record.group else record.tracking.name or record.name
    return about | {
        "id": hashed(f"{run_id(record)}/test"),
        "name": _named(f"{name} test days", record.marks),
        "job_type": "eval",
        "config": about["config"] | {"recipe.seed": record.recipe.seed, "seeds": 1},
    }


def about_summary(study: StudyRecord, tracking: Tracking) -> Json:
    """What `wandb.init` is told of a whole study."""
    seeds = {seed for _, seed, _ in study.trials}
    return {
        "id": hashed(f"{study.folder.name}/summary"),
        **_place(tracking),
        "name": _named(tracking.name or f"{study.study} summary", study.marks),
        "group": fitted(tracking.group or study.study),
        "job_type": "tune",
        "tags": fitted_tags([*study.homes, study.study, *tags_of(study.marks)]),
        "notes": tracking.notes,
        "config": {
            "home": "+".join(study.homes),
            "caveats": list(study.caveats),
            "quick": study.quick,
            "seeds": len(seeds),
            "trials": len(study.trials),
        },
    }


def _usual_group(recipe: Recipe) -> str:
    # As the earlier scripts grouped runs, by data and size.
    size = {"d_model": recipe.model.width, "n_layers": recipe.model.layers}
    return group_of({"home": recipe.data.label, **size})


def _place(tracking: Tracking) -> Json:
    # Texts, never None: what is left out here, W&B takes from its own environment variables, and
    # then it would send what `audit` does not show.
    entity = tracking.entity or os.environ.get("WANDB_ENTITY") or None
    return {"project": fitted_project(tracking.project), "entity": entity}


def _named(name: str, marks: Sequence[str]) -> str:
    return fitted(f"SIMULATED {name}" if is_simulated(marks) else name)


def run_id(record: RunRecord) -> str:
    """The W&B id of a run: the same for the same recipe in the same folder of the same study.

    W&B knows runs by it, so another way to make it would send every run a second time.
    """
    return hashed(json.dumps([*record.folder.parts[-2:], record.recipe.digest()]))


def content(row: Row) -> Json:
    """What is logged for a row of a ledger, histograms still as they are counted; empty where
    nothing is."""
    if row["event"] == "metrics":
        # Text stands for inf and nan in the ledger, and no chart can draw it.
        return {k: value for k, value in row["metrics"].items() if not isinstance(value, str)}
    if row["event"] == "histograms":
        return dict(row["histograms"])
    return sent_model(row) if row["event"] == "model" else {}


def verdict_content(verdict: Verdict) -> tuple[Json, list[list[Cell]]]:
    """What is logged of a look at the test days, and the rows of its table of baselines."""
    metrics, rows = sent_verdict(verdict)
    return {**metrics, "global_step": verdict.step}, rows


def code_of(tracking: Tracking, folder: Path) -> Path | None:
    """The copy of the code that goes with a run, or with a study's summary; None where none does.

    A trial has none of its own: it lies in the study's folder.
    """
    path = folder / CODE
    return path if tracking.code_snapshot and path.exists() else None


def weights_of(record: RunRecord, status: str) -> Path | None:
    """The weights that leave this machine, which only happens where the user asked for it."""
    step = RunResult.read(record.folder).best_step
    if not record.tracking.log_model or status != "finished" or step is None:
        return None
    return checkpoint_folder(record.folder, step) / "weights.safetensors"


def outgoing_of(record: RunRecord) -> list[Outgoing]:
    """The W&B runs of one training: its own, and that of the look at its test days."""
    result = RunResult.read(record.folder)
    graphs = [row for row in result.rows if row["event"] == "graph"]
    parts = [f"{part['name']}: {part['kind']}" for row in graphs for part in row["modules"]]
    files = {"code": code_of(record.tracking, record.folder)}
    files["model"] = weights_of(record, result.status)
    training = Outgoing(
        about_run(record, result.info),
        [told | {"global_step": row["step"]} for row in result.rows if (told := content(row))],
        [STATUS, *([GRAPH] if parts else [])],
        parts,
        {kind: path for kind, path in files.items() if path is not None},
    )
    verdict = recorded_verdict(record.folder)
    if verdict is None:
        return [training]
    row, table = verdict_content(verdict)
    return [training, Outgoing(about_verdict(record), [row | {"baselines": table}])]


def outgoing_summary(summary: Summary, tracking: Tracking) -> Outgoing:
    """The W&B run of a whole study."""
    code = code_of(tracking, summary.record.folder)
    return Outgoing(
        about_summary(summary.record, tracking),
        [summary_content(summary)],
        files={"code": code} if code else {},
    )


def summary_content(summary: Summary) -> Json:
    """The rows and curves that are logged of a study, by the names of the table and the charts."""
    return {
        "comparison": [list(row) for row in summary.rows],
        "recall_mean by arm": [list(row) for row in summary.rows],
        "recall_mean over steps": {arm: list(curve) for arm, curve in summary.curves.items()},
    }
