"""W&B runs that are no trainings: a study's comparison, and the look at a run's test days."""

import json
from collections.abc import Sequence

import wandb

from casas_ray.config import Tracking
from casas_ray.files import write_whole
from casas_ray.records.run_record import RunRecord
from casas_ray.records.verdict import Verdict
from casas_ray.tracking.artifacts import send_code
from casas_ray.tracking.connection import Mode, begin_or_keep, mode_of
from casas_ray.tracking.names import hashed
from casas_ray.tracking.outgoing import (
    Cell,
    Json,
    Summary,
    about_summary,
    about_verdict,
    code_of,
    summary_content,
    verdict_content,
)

_SENT = ".wandb-summary"
"""In a study's folder: the hash of the comparison that W&B has."""


def send_summary(summary: Summary, tracking: Tracking) -> None:
    """Send one W&B run for a whole study: its comparison as a table and as bars, and a curve an arm
    of the main metric over steps. What W&B has already is not sent again.

    Raises:
        wandb.Error: it cannot be kept offline either.
    """
    folder, about = summary.record.folder, about_summary(summary.record, tracking)
    told, mode, sent = summary_content(summary), mode_of(tracking), folder / _SENT
    content = hashed(json.dumps([told, about]))
    if mode == "online" and sent.is_file() and sent.read_bytes() == content.encode():
        return
    run, mode = begin_or_keep(folder, about, mode)
    run.log(_drawn(told))
    send_code(run, code_of(tracking, folder))
    run.finish()
    wandb.teardown()
    # Last: whoever is killed before this sends the comparison once more, never not at all.
    if mode == "online":
        write_whole(sent, content)


def _drawn(told: Json) -> Json:
    """The rows as a table and as bars, the curves as lines, under the names they have."""
    table_name, bars, lines = told
    table, curves = _table(told[table_name]), told[lines]
    title = "recall_mean, validation days"
    return {
        table_name: table,
        bars: wandb.plot.bar(table, "arm", "val/recall_mean mean", title=title),
        lines: wandb.plot.line_series(
            xs=[[step for step, _ in curve] for curve in curves.values()],
            ys=[[value for _, value in curve] for curve in curves.values()],
            keys=list(curves),
            title=f"{title}, mean over seeds",
            xname="global_step",
        ),
    }


def _table(rows: Sequence[Sequence[Cell]]) -> wandb.Table:
    header, *body = rows
    return wandb.Table(columns=[str(cell) for cell in header], data=[list(row) for row in body])


def send_verdict(record: RunRecord, verdict: Verdict, mode: Mode) -> None:
    """Send one W&B run for the look at a run's test days, beside the run itself.

    Raises:
        wandb.Error: it cannot be kept offline either.
    """
    run, _ = begin_or_keep(record.folder, about_verdict(record), mode)
    run.define_metric("global_step")
    run.define_metric("test/*", step_metric="global_step")
    row, rows = verdict_content(verdict)
    # W&B counts this run's rows too: one is all there is, and a second call would add another.
    if run.starting_step == 0:
        run.log({**row, "baselines": _table(rows)})
    run.finish()
    wandb.teardown()
