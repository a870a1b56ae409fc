"""W&B as a view of the ledger: rows are passed on by the driver, never by a training process.

Why not Ray's WandbLoggerCallback: with a key it writes WANDB_API_KEY into a world-readable log, on
Ctrl-C it can wait half an hour, and under Train V2 setup_wandb logs on every rank
(docs/findings.md). So one listener in the driver reads the ledgers and passes rows on. Without a
key, or without a network, runs are written offline into their folders; whatever W&B does, training
does not wait.

Whenever a ledger is followed, it is followed from its start, and its rows are numbered. A server
says how many rows of a run it has, and those are not sent again; an offline run is made anew. So
nothing need be remembered of what was sent, and a row is neither lost nor sent twice, whoever was
killed when.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wandb

from casas_ray.config import Tracking
from casas_ray.places import shown
from casas_ray.run.allowed import sent_config, sent_model, sent_verdict
from casas_ray.run.connection import Mode, begin, begin_or_keep, mode_of, remove_offline
from casas_ray.run.follow import Tail
from casas_ray.run.job import Job
from casas_ray.run.provenance import CODE
from casas_ray.run.repeats import Repeats

log = logging.getLogger(__name__)

_SYNC_SECONDS = 600.0
_LEAST_ROOM = 1 << 16
_SUMMARIES = {
    "val/total_loss": "min",
    "val/clip_loss": "min",
    "val/recall_mean": "max",
    "val/ndcg_mean": "max",
}


class WandbMirror:
    """Passes each row of the followed ledgers to its W&B run, once."""

    def __init__(
        self, jobs: Sequence[Job], *, mode: Mode | None = None, wait: float | None = None
    ) -> None:
        """`mode` is that of the settings, and `wait` the seconds that an ended run may take to send
        what is left, unless they are given."""
        self._jobs = list(jobs)
        self._runs: dict[int, wandb.Run] = {}
        self._repeats = [Repeats() for _ in jobs]
        self._heard: list[list[dict[str, Any]]] = [[] for _ in jobs]
        self._sent: dict[int, int] = {}
        self._mode: Mode | None = mode
        self._wait = wait

    @property
    def mode(self) -> Mode | None:
        """online or offline, as it turned out; None before the first run."""
        return self._mode

    def hear(self, run: int, row: dict[str, Any]) -> None:
        """A new row of a run's ledger."""
        if row["event"] == "start":
            self._open(run, row)
        elif row["event"] == "end" and run in self._runs:
            self._finish(run, row["status"])
        elif not self._repeats[run].is_repeated(row):
            self._heard[run].append(row)
            if run in self._runs:
                self._send(run, row)

    def close(self) -> None:
        """End the W&B runs whose ledgers never did."""
        for run in list(self._runs):
            self._finish(run, "running")
        if any(self._heard):
            # An offline run's finish() returns before its last rows are on the disk; the end of
            # W&B's service does not.
            wandb.teardown()
        self._tell_of_full_disks()

    def _tell_of_full_disks(self) -> None:
        """W&B says nothing when it cannot write; what it has is then torn, and the ledger whole."""
        for job, heard in zip(self._jobs, self._heard, strict=True):
            folder = job.folder / "wandb"
            if heard and folder.is_dir() and shutil.disk_usage(folder).free < _LEAST_ROOM:
                log.warning(
                    "the disk of %s is full: W&B's copy is not whole; make room, and casas-ray "
                    "sync makes it anew.",
                    shown(folder),
                )
                return

    def _open(self, run: int, row: Mapping[str, Any]) -> None:
        if run in self._runs:  # the training was taken up again within this sweep
            return
        job = self._jobs[run]
        self._mode = self._mode or mode_of(job.tracking)
        about = _about(job, row["info"])
        if self._runs:
            try:
                made = begin(job.folder, about, self._mode, wait=self._wait)
            except (wandb.Error, TimeoutError) as error:
                log.warning("W&B will not have %s (%s); casas-ray sync it later.", job.name, error)
                return
        else:
            made, self._mode = begin_or_keep(job.folder, about, self._mode, wait=self._wait)
        self._runs[run], self._sent[run] = made, 0
        _define(made)
        for heard in self._heard[run]:  # it had ended, and was taken up again
            self._send(run, heard)
        if job.tracking.code_snapshot:
            _send_code(made, job.folder / CODE)

    def _send(self, run: int, row: dict[str, Any]) -> None:
        if row["event"] == "graph":
            self._runs[run].summary["graph_0"] = _graph(row["modules"])
        elif content := _content(row):
            place, made = self._sent[run], self._runs[run]
            self._sent[run] = place + 1
            if place >= made.starting_step:
                made.log({**content, "global_step": row["step"]}, step=place, commit=True)

    def _finish(self, run: int, status: str) -> None:
        wandb_run, job = self._runs.pop(run), self._jobs[run]
        wandb_run.summary["training/status"] = status
        if job.tracking.log_model and status == "finished":
            _send_model(wandb_run, job)
        try:
            wandb_run.finish(exit_code=0 if status == "finished" else 1)
        except TimeoutError:
            if self._wait is not None:
                raise
            self._mode = "offline"  # for the runs that start after this one
            log.warning("W&B has not taken all of %s; casas-ray sync sends it again.", job.name)


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["event"] == "metrics":
        return {k: value for k, value in row["metrics"].items() if not isinstance(value, str)}
    if row["event"] == "histograms":
        return {name: _histogram(one) for name, one in row["histograms"].items()}
    return sent_model(row) if row["event"] == "model" else {}


def _histogram(one: Mapping[str, Any]) -> wandb.Histogram:
    edges = np.linspace(one["low"], one["high"], len(one["counts"]) + 1)
    return wandb.Histogram(np_histogram=(np.array(one["counts"]), edges))


def _graph(modules: Sequence[Mapping[str, Any]]) -> wandb.Graph:
    """What W&B draws of a model: its parts in order, each with the shapes of its weights."""
    graph = wandb.Graph(format="torch")
    for module in modules:
        weights = [(name, tuple(shape)) for name, shape in module["parameters"].items()]
        graph.add_node(
            id=module["name"],
            name=module["name"],
            class_name=module["kind"],
            parameters=weights,
            num_parameters=[int(np.prod(shape)) for _, shape in weights],
            output_shape=module["output"],
        )
    return graph


def _send_code(run: wandb.Run, code: Path) -> None:
    if code.exists():
        _send_file(run, code, CODE, wandb.Artifact(f"code-{run.id}", type="code"))


def _send_model(run: wandb.Run, job: Job) -> None:
    """The best checkpoint, which leaves this machine only because the user asked for it."""
    best = json.loads((job.folder / "checkpoints" / "best.json").read_text(encoding="utf-8"))
    weights = job.folder / "checkpoints" / f"step-{int(best['step']):08d}" / "weights.safetensors"
    made = wandb.Artifact(f"model-{run.id}", type="model", metadata=best)
    _send_file(run, weights, weights.name, made)


def _send_file(run: wandb.Run, path: Path, name: str, artifact: wandb.Artifact) -> None:
    try:
        artifact.add_file(str(path), name=name)
        run.log_artifact(artifact)
    except Exception as error:  # whatever ails a file, the metrics go on
        log.warning("W&B has not taken %s: %s", name, str(error).splitlines()[0])


def send_summary(
    name: str,
    folder: Path,
    tracking: Tracking,
    tags: Sequence[str],
    rows: Sequence[Sequence[Any]],
    curves: Mapping[str, Sequence[tuple[int, float]]],
) -> None:
    """One W&B run for a whole study: its comparison as a table, the first row its header, as bars,
    and a curve an arm of the main metric over steps."""
    about = {
        "id": _hashed(f"{folder.name}/summary"),
        "project": tracking.project,
        "entity": tracking.entity or None,
        "name": f"{name} summary",
        "group": tracking.group or name,
        "job_type": "tune",
        "tags": list(tags),
    }
    run, _ = begin_or_keep(folder, about, mode_of(tracking))
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
        _send_code(run, folder / CODE)
    run.finish()
    wandb.teardown()


def send_verdict(job: Job, verdict: Mapping[str, Any], mode: Mode) -> None:
    """One W&B run for the look at a run's test days, beside the run itself."""
    about = _about(job, {})
    about |= {
        "id": _hashed(f"{run_id(job)}/test"),
        "name": f"{about['name']} test days",
        "job_type": "eval",
    }
    run, _ = begin_or_keep(job.folder, about, mode)
    run.define_metric("global_step")
    run.define_metric("test/*", step_metric="global_step")
    metrics, rows = sent_verdict(verdict)
    header, *body = rows
    cells: list[Any] = body  # Any: wandb's own kinds of cells
    table = wandb.Table(columns=header, data=cells)
    if run.starting_step == 0:
        run.log({**metrics, "baselines": table, "global_step": verdict["step"]})
    run.finish()
    wandb.teardown()


def sync(job: Job, verdict: Mapping[str, Any] | None = None) -> str:
    """Send what W&B lacks of a run (of its training, and of its look at the test days), or make it
    anew offline where W&B cannot be reached; what was done, in words.

    Raises:
        TimeoutError: it could not be sent in time.
    """
    mode = mode_of(job.tracking.replace({"mode": "auto"}))  # what was kept back is asked for now
    mirror = WandbMirror([job], mode=mode, wait=_SYNC_SECONDS)
    for row in Tail(job.folder).new_rows():
        mirror.hear(0, row)
    mirror.close()
    mode = mirror.mode or mode
    if verdict is not None:
        send_verdict(job, verdict, mode)
    if mode != "online":
        return "made anew offline; W&B has no key here or cannot be reached"
    remove_offline(job.folder, run_id(job))  # sent by hand, it would come twice
    return "W&B has all of it"


def run_id(job: Job) -> str:
    """The W&B id of a run: the same for the same recipe in the same folder of the same study."""
    return _hashed(json.dumps([*job.folder.parts[-2:], job.recipe.digest()]))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _about(job: Job, info: Mapping[str, Any]) -> dict[str, Any]:
    name = job.name if job.group else job.tracking.name or job.name
    return {
        "id": run_id(job),
        "project": job.tracking.project,
        "entity": job.tracking.entity or None,
        "name": f"SIMULATED {name}" if job.simulated else name,
        "group": job.tracking.group or job.group or None,
        "job_type": "tune" if job.group else "train",
        "tags": job.tags(),
        "notes": job.tracking.notes or None,
        "config": sent_config(info),
    }


def _define(run: wandb.Run) -> None:
    run.define_metric("global_step")
    for pattern in ("train/*", "val/*", "system/*", "parameters/*", "gradients/*"):
        run.define_metric(pattern, step_metric="global_step")
    for pattern in ("best_model/*", "final_model/*"):
        run.define_metric(pattern, step_metric="global_step")
    for name, best in _SUMMARIES.items():
        run.define_metric(name, step_metric="global_step", summary=best)
