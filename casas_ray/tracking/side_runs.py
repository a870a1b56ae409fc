"""W&B runs that are no trainings: a study's comparison, and the look at a run's test days."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import wandb

from casas_ray.config import Tracking
from casas_ray.files import write_whole
from casas_ray.records.provenance import CODE
from casas_ray.records.run_record import RunRecord
from casas_ray.records.verdict import Verdict
from casas_ray.tracking.artifacts import send_code
from casas_ray.tracking.connection import Mode, begin_or_keep, mode_of
from casas_ray.tracking.privacy import sent_verdict
from casas_ray.tracking.wandb_mirror import about_run, hashed, run_id

_SENT = ".wandb-summary"
"""In a study's folder: the hash of the comparison that W&B has."""

Cell = str | float | None


def send_summary(
    name: str,
    folder: Path,
    tracking: Tracking,
    tags: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    curves: Mapping[str, Sequence[tuple[int, float]]],
) -> None:
    """Send one W&B run for a whole study: its comparison as a table and as bars, and a curve an arm
    of the main metric over steps.

    The first of `rows` is the table's header; `curves` has (step, value) by arm. What W&B has
    already is not sent again.

    Raises:
        wandb.Error: it cannot be kept offline either.
    """
    content, mode, sent = hashed(json.dumps([rows, curves])), mode_of(tracking), folder / _SENT
    if mode == "online" and sent.is_file() and sent.read_bytes() == content.encode():
        return
    about = {
        "id": hashed(f"{folder.name}/summary"),
        "project": tracking.project,
        "entity": tracking.entity or None,
        "name": f"{name} summary",
        "group": tracking.group or name,
        "job_type": "tune",
        "tags": list(tags),
    }
    run, mode = begin_or_keep(folder, about, mode)
    header, *body = rows
    table = wandb.Table(columns=[str(cell) for cell in header], data=[list(row) for row in body])
    run.log(
        {
            "comparison": table,
            "recall_mean by arm": wandb.plot.bar(
                table, "arm", "val/recall_mean mean", title="recall_mean, validation days"
            ),
            "recall_mean over steps": wandb.plot.line_series(
                xs=[[step for step, _ in curve] for curve in curves.values()],
                ys=[[value for _, value in curve] for curve in curves.values()],
                keys=list(curves),
                title="recall_mean, validation days, mean over seeds",
                xname="global_step",
            ),
        }
    )
    if tracking.code_snapshot:
        send_code(run, folder / CODE)
    run.finish()
    wandb.teardown()
    # Last: whoever is killed before this sends the comparison once more, never not at all.
    if mode == "online":
        write_whole(sent, content)


def send_verdict(record: RunRecord, verdict: Verdict, mode: Mode) -> None:
    """Send one W&B run for the look at a run's test days, beside the run itself.

    Raises:
        wandb.Error: it cannot be kept offline either.
    """
    about = about_run(record, {})
    about |= {
        "id": hashed(f"{run_id(record)}/test"),
        "name": f"{about['name']} test days",
        "job_type": "eval",
    }
    run, _ = begin_or_keep(record.folder, about, mode)
    run.define_metric("global_step")
    run.define_metric("test/*", step_metric="global_step")
    metrics, rows = sent_verdict(verdict)
    header, *body = rows
    table = wandb.Table(columns=[str(cell) for cell in header], data=[list(row) for row in body])
    # W&B counts this run's rows too: one is all there is, and a second call would add another.
    if run.starting_step == 0:
        run.log({**metrics, "baselines": table, "global_step": verdict.step})
    run.finish()
    wandb.teardown()
