"""W&B as a view of the ledger: rows are passed on by the driver, never by a training process.

Ray's own callbacks hang in here through `run/callbacks.py`, which tells why WandbLoggerCallback and
setup_wandb are not used. Without a key, or without a network, runs are written offline into their
folders; whatever W&B does, training does not wait.

Whenever a ledger is followed, it is followed from its start, and its rows are numbered. A server
says how many rows of a run it has, and those are not sent again; an offline run is made anew. So
nothing need be remembered of what was sent, and a row is neither lost nor sent twice, whoever was
killed when.
"""

import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import wandb

from casas_ray.errors import first_line
from casas_ray.files import shown
from casas_ray.records.follow import Tail
from casas_ray.records.ledger import read_rows
from casas_ray.records.rows import Row
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.tracking.artifacts import send_code, send_model
from casas_ray.tracking.connection import (
    REFUSALS,
    About,
    Mode,
    begin,
    begin_or_keep,
    mode_of,
    remove_offline,
)
from casas_ray.tracking.outgoing import (
    GRAPH,
    STATUS,
    about_run,
    code_of,
    content,
    run_id,
    weights_of,
)
from casas_ray.tracking.repeats import Repeats

log = logging.getLogger(__name__)

_SYNC_SECONDS = 600.0
_LEAST_ROOM_BYTES = 1 << 16
_SUMMARIES: dict[str, Literal["min", "max"]] = {
    "val/total_loss": "min",
    "val/clip_loss": "min",
    "val/recall_mean": "max",
    "val/ndcg_mean": "max",
}


class WandbMirror:
    """Passes each row of the followed ledgers to its W&B run, once."""

    def __init__(
        self,
        records: Sequence[RunRecord],
        *,
        mode: Mode | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        """`records` are those of the indices that are heard of; they may become more.

        `mode` is that of the settings, unless it is given. `wait_seconds` is how long an ended
        run may take to send what is left; where it is given, a run that takes longer is an error,
        for nobody trains meanwhile."""
        self._records = records
        self._runs: dict[int, wandb.Run] = {}
        self._repeats: defaultdict[int, Repeats] = defaultdict(Repeats)
        self._rows: defaultdict[int, list[Row]] = defaultdict(list)
        self._next_number: dict[int, int] = {}
        # Ended runs send their last rows side by side, so that a host that died holds up an end
        # once and not once a run.
        self._ends = ThreadPoolExecutor(max_workers=32, thread_name_prefix="wandb-end")
        self._ending: dict[int, Future[None]] = {}
        # Taken by the first end that times out, and never given back: one warning is enough.
        self._warned = threading.Lock()
        self._mode: Mode | None = mode
        self._wait_seconds = wait_seconds

    @property
    def mode(self) -> Mode | None:
        """online or offline, as it turned out; None before the first run."""
        return self._mode

    def hear(self, run: int, row: Row) -> None:
        """A new row of a run's ledger."""
        if row["event"] == "start":
            self._open(run, row)
        elif row["event"] == "end" and run in self._runs:
            self._finish(run, row["status"])
        elif not self._repeats[run].is_repeated(row):
            self._rows[run].append(row)
            if run in self._runs:
                self._send(run, row)

    def close(self) -> None:
        """End the W&B runs whose ledgers never did, and wait for all to be sent."""
        for run in list(self._runs):
            self._finish(run, "running")
        # All of them, before the first that failed is told of: a fault is one run's.
        faults = [ending.exception() for ending in self._ending.values()]
        if any(self._rows.values()):
            # An offline run's finish() returns before its last rows are on the disk; the end of
            # W&B's service does not.
            wandb.teardown()
        self._warn_of_full_disks()
        if fault := next(filter(None, faults), None):
            raise fault

    def _warn_of_full_disks(self) -> None:
        # W&B says nothing when it cannot write; what it has is then torn, and the ledger whole.
        for run, rows in self._rows.items():
            folder = self._records[run].folder / "wandb"
            if rows and folder.is_dir() and shutil.disk_usage(folder).free < _LEAST_ROOM_BYTES:
                log.warning(
                    "the disk of %s is full: W&B's copy is not whole; make room, and casas-ray "
                    "sync makes it anew.",
                    shown(folder),
                )
                return

    def _open(self, run: int, row: Row) -> None:
        if run in self._runs:  # the training was taken up again within this sweep
            return
        record = self._records[run]
        self._mode = self._mode or mode_of(record.tracking)
        about = about_run(record, row["info"])
        if run in self._ending:
            # Two runs of one id, the old one still sending, would each be told the same number of
            # rows that W&B has.
            self._ending.pop(run).result()
        wandb_run = self._begun(record, about, self._mode)
        if wandb_run is None:
            return
        self._runs[run], self._next_number[run] = wandb_run, 0
        _define(wandb_run)
        for earlier in self._rows[run]:  # it had ended, and was taken up again
            self._send(run, earlier)
        send_code(wandb_run, code_of(record.tracking, record.folder))

    def _begun(self, record: RunRecord, about: About, mode: Mode) -> wandb.Run | None:
        if not self._runs and all(ending.done() for ending in self._ending.values()):
            wandb_run, self._mode = begin_or_keep(
                record.folder, about, mode, wait_seconds=self._wait_seconds
            )
            return wandb_run
        # Others are open: to keep this one offline would end W&B's service, and them with it.
        try:
            return begin(record.folder, about, mode, wait_seconds=self._wait_seconds)
        except REFUSALS as error:
            reason = first_line(error)
            log.warning("W&B will not have %s (%s); casas-ray sync it later.", record.name, reason)
            return None

    def _send(self, run: int, row: Row) -> None:
        if row["event"] == "graph":
            self._runs[run].summary[GRAPH] = _graph(row["modules"])
        elif drawn := _drawn(row):
            # W&B's `step` is the row's number, the same at each reading of the ledger: rows with
            # nothing to send take none. Steps of the training would not do, for several rows
            # share one, and W&B drops what does not count upwards.
            number, wandb_run = self._next_number[run], self._runs[run]
            self._next_number[run] = number + 1
            if number >= wandb_run.starting_step:
                wandb_run.log({**drawn, "global_step": row["step"]}, step=number, commit=True)

    def _finish(self, run: int, status: str) -> None:
        wandb_run, record = self._runs.pop(run), self._records[run]
        wandb_run.summary[STATUS] = status
        best = RunResult.read(record.folder).best()
        send_model(wandb_run, weights_of(record, status), best)
        self._ending[run] = self._ends.submit(self._end, wandb_run, record, status)

    def _end(self, wandb_run: wandb.Run, record: RunRecord, status: str) -> None:
        try:
            wandb_run.finish(exit_code=0 if status == "finished" else 1)
        except TimeoutError:
            if self._wait_seconds is not None:
                raise
            self._mode = "offline"  # for the runs that start after this one
            if self._warned.acquire(blocking=False):
                log.warning(
                    "W&B stopped answering and has not all of %s; casas-ray sync sends the rest.",
                    record.name,
                )


def _drawn(row: Row) -> dict[str, Any]:  # Any: what W&B's log takes
    told = content(row)
    if row["event"] == "histograms":
        return {name: _histogram(counted) for name, counted in told.items()}
    return told


def _histogram(counted: Row) -> wandb.Histogram:
    edges = np.linspace(counted["low"], counted["high"], len(counted["counts"]) + 1)
    return wandb.Histogram(np_histogram=(np.array(counted["counts"]), edges))


def _graph(modules: Sequence[Row]) -> wandb.Graph:
    # Its parts in order, each with the shapes of its weights.
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
    # Whatever mode the run was trained with: what was kept back then is asked for now.
    mode = mode_of(record.tracking.replace({"mode": "auto"}))
    read_rows(record.folder)  # refused where a newer version wrote it; the tail would pass it over
    mirror = WandbMirror([record], mode=mode, wait_seconds=_SYNC_SECONDS)
    for row in Tail(record.folder).new_rows():
        mirror.hear(0, row)
    mirror.close()
    mode = mirror.mode or mode
    if mode == "online":
        remove_offline(record.folder, run_id(record))  # sent by hand, it would come twice
    return mode


def _define(run: wandb.Run) -> None:
    # Charts go by the training's step; W&B's own counts rows.
    run.define_metric("global_step")
    for pattern in ("train/*", "val/*", "system/*", "parameters/*", "gradients/*"):
        run.define_metric(pattern, step_metric="global_step")
    for pattern in ("best_model/*", "final_model/*"):
        run.define_metric(pattern, step_metric="global_step")
    for name, which in _SUMMARIES.items():
        run.define_metric(name, step_metric="global_step", summary=which)
