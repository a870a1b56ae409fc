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
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import wandb

from casas_ray.files import shown
from casas_ray.records.follow import Tail
from casas_ray.records.provenance import CODE
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.artifacts import send_code, send_model
from casas_ray.tracking.connection import Mode, begin, begin_or_keep, mode_of, remove_offline
from casas_ray.tracking.privacy import sent_config, sent_model
from casas_ray.tracking.repeats import Repeats

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
        self, records: Sequence[RunRecord], *, mode: Mode | None = None, wait: float | None = None
    ) -> None:
        """`mode` is that of the settings, and `wait` the seconds that an ended run may take to send
        what is left, unless they are given."""
        self._records = list(records)
        self._runs: dict[int, wandb.Run] = {}
        self._repeats = [Repeats() for _ in records]
        self._heard: list[list[dict[str, Any]]] = [[] for _ in records]
        self._sent: dict[int, int] = {}
        # Ended runs send their last rows side by side, so that a host that died holds up an end
        # once and not once a run.
        self._ends = ThreadPoolExecutor(max_workers=32, thread_name_prefix="wandb-end")
        self._ending: dict[int, Future[None]] = {}
        self._first_told = threading.Lock()
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
        for ending in self._ending.values():
            ending.result()
        if any(self._heard):
            # An offline run's finish() returns before its last rows are on the disk; the end of
            # W&B's service does not.
            wandb.teardown()
        self._tell_of_full_disks()

    def _tell_of_full_disks(self) -> None:
        """W&B says nothing when it cannot write; what it has is then torn, and the ledger whole."""
        for record, heard in zip(self._records, self._heard, strict=True):
            folder = record.folder / "wandb"
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
        record = self._records[run]
        self._mode = self._mode or mode_of(record.tracking)
        about = about_run(record, row["info"])
        if run in self._ending:
            self._ending.pop(run).result()
        if self._runs or not all(ending.done() for ending in self._ending.values()):
            try:
                made = begin(record.folder, about, self._mode, wait=self._wait)
            except (wandb.Error, TimeoutError) as error:
                said = str(error).splitlines()[0]
                log.warning(
                    "W&B will not have %s (%s); casas-ray sync it later.", record.name, said
                )
                return
        else:
            made, self._mode = begin_or_keep(record.folder, about, self._mode, wait=self._wait)
        self._runs[run], self._sent[run] = made, 0
        _define(made)
        for heard in self._heard[run]:  # it had ended, and was taken up again
            self._send(run, heard)
        if record.tracking.code_snapshot:
            send_code(made, record.folder / CODE)

    def _send(self, run: int, row: dict[str, Any]) -> None:
        if row["event"] == "graph":
            self._runs[run].summary["graph_0"] = _graph(row["modules"])
        elif content := _content(row):
            place, made = self._sent[run], self._runs[run]
            self._sent[run] = place + 1
            if place >= made.starting_step:
                made.log({**content, "global_step": row["step"]}, step=place, commit=True)

    def _finish(self, run: int, status: str) -> None:
        wandb_run, record = self._runs.pop(run), self._records[run]
        wandb_run.summary["training/status"] = status
        if record.tracking.log_model and status == "finished":
            send_model(wandb_run, record.folder)
        self._ending[run] = self._ends.submit(self._end, wandb_run, record, status)

    def _end(self, made: wandb.Run, record: RunRecord, status: str) -> None:
        try:
            made.finish(exit_code=0 if status == "finished" else 1)
        except TimeoutError:
            if self._wait is not None:
                raise
            self._mode = "offline"  # for the runs that start after this one
            if self._first_told.acquire(blocking=False):
                log.warning(
                    "W&B stopped answering and has not all of %s; casas-ray sync sends the rest.",
                    record.name,
                )


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


def sync(record: RunRecord) -> Mode:
    """Send what W&B lacks of a run, or make it anew offline where W&B cannot be reached; which of
    the two it was.

    Raises:
        TimeoutError: it could not be sent in time.
    """
    mode = mode_of(record.tracking.replace({"mode": "auto"}))  # what was kept back is asked for now
    mirror = WandbMirror([record], mode=mode, wait=_SYNC_SECONDS)
    for row in Tail(record.folder).new_rows():
        mirror.hear(0, row)
    mirror.close()
    mode = mirror.mode or mode
    if mode == "online":
        remove_offline(record.folder, run_id(record))  # sent by hand, it would come twice
    return mode


def run_id(record: RunRecord) -> str:
    """The W&B id of a run: the same for the same recipe in the same folder of the same study."""
    return hashed(json.dumps([*record.folder.parts[-2:], record.recipe.digest()]))


def hashed(text: str) -> str:
    """A W&B id made of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def about_run(record: RunRecord, info: Mapping[str, Any]) -> dict[str, Any]:
    """What `wandb.init` is told of a run."""
    name = record.name if record.group else record.tracking.name or record.name
    return {
        "id": run_id(record),
        "project": record.tracking.project,
        "entity": record.tracking.entity or None,
        "name": f"SIMULATED {name}" if record.simulated else name,
        "group": record.tracking.group or record.group or None,
        "job_type": "tune" if record.group else "train",
        "tags": record.tags(),
        "notes": record.tracking.notes or None,
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
