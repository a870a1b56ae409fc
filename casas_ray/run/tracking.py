"""W&B as a view of the ledger: the one module that imports wandb, and never in a training process.

Why not Ray's WandbLoggerCallback: with a key it writes WANDB_API_KEY into a world-readable log, on
Ctrl-C it can wait half an hour, and under Train V2 setup_wandb logs on every rank
(docs/findings.md). So one listener in the driver reads the ledgers and passes rows on. Without a
key, or without a network, runs are written offline into their folders; whatever W&B does, training
does not wait.
"""

import hashlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import wandb

from casas_ray.config import Tracking
from casas_ray.results import read_rows
from casas_ray.run.allowed import sent_config, sent_model
from casas_ray.run.job import Job
from casas_ray.run.provenance import CODE
from casas_ray.run.repeats import Repeats, kind_of

log = logging.getLogger(__name__)

_INIT_SECONDS = 8
_REACH_SECONDS = 5
_SYNC_SECONDS = 600
_CURSOR = "wandb.json"


class WandbMirror:
    """Passes each row of the followed ledgers to its W&B run, once.

    An offline run is made anew from its ledger whenever it is followed, so that it is whole
    whatever happened to the one before. An online run goes on: a file beside the ledger, written
    after each row, remembers how far it has come.
    """

    def __init__(self, jobs: Sequence[Job], *, mode: str = "") -> None:
        self._jobs = list(jobs)
        self._runs: dict[int, wandb.Run] = {}
        self._sent: dict[int, dict[str, int]] = {}
        self._repeats: dict[int, Repeats] = {}
        self._mode = mode

    def hear(self, run: int, row: dict[str, Any]) -> None:
        """A new row of a run's ledger."""
        if row["event"] == "start":
            self._open(run, row)
        elif row["event"] == "end" and run in self._runs:
            self._finish(run, row["status"])
        elif run in self._runs and not self._was_sent(run, row):
            self._send(run, row)

    def close(self) -> None:
        """End the W&B runs whose ledgers never did."""
        for run in list(self._runs):
            self._finish(run, "running")
        if self._sent:
            # An offline run's finish() returns before its last rows are on the disk; the end of
            # W&B's service does not.
            wandb.teardown()

    def _open(self, run: int, row: Mapping[str, Any]) -> None:
        if run in self._runs:  # the training was taken up again within this sweep
            return
        job = self._jobs[run]
        self._mode = self._mode or _mode(job.tracking)
        self._sent[run], self._repeats[run] = {}, Repeats()
        if self._mode == "online":
            self._sent[run] = _read_cursor(job.folder)
        else:
            remove_offline(job)
        self._runs[run] = wandb.init(**_arguments(job, row["info"], self._mode))
        _define(self._runs[run])
        if job.tracking.code_snapshot and (job.folder / CODE).exists():
            _send_code(self._runs[run], job.folder / CODE)

    def _was_sent(self, run: int, row: dict[str, Any]) -> bool:
        repeated = self._repeats[run].is_repeated(row)
        return repeated or row["step"] <= self._sent[run].get(kind_of(row), -1)

    def _send(self, run: int, row: dict[str, Any]) -> None:
        content = _content(row)
        if not content:
            return
        self._runs[run].log({**content, "global_step": row["step"]})
        self._sent[run][kind_of(row)] = row["step"]
        if self._mode == "online":
            _write_cursor(self._jobs[run].folder, self._sent[run])

    def _finish(self, run: int, status: str) -> None:
        wandb_run, job = self._runs.pop(run), self._jobs[run]
        wandb_run.summary["training/status"] = status
        if job.tracking.log_model and status == "finished":
            _send_model(wandb_run, job)
        wandb_run.finish(exit_code=0 if status == "finished" else 1)


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["event"] == "metrics":
        return {k: value for k, value in row["metrics"].items() if not isinstance(value, str)}
    if row["event"] == "histograms":
        return {name: _histogram(one) for name, one in row["histograms"].items()}
    return sent_model(row) if row["event"] == "model" else {}


def _histogram(one: Mapping[str, Any]) -> wandb.Histogram:
    edges = np.linspace(one["low"], one["high"], len(one["counts"]) + 1)
    return wandb.Histogram(np_histogram=(np.array(one["counts"]), edges))


def _send_code(run: wandb.Run, code: Path) -> None:
    artifact = wandb.Artifact(f"code-{run.id}", type="code")
    artifact.add_file(str(code), name=CODE)
    run.log_artifact(artifact)


def _send_model(run: wandb.Run, job: Job) -> None:
    """The best checkpoint, which leaves this machine only because the user asked for it."""
    best = json.loads((job.folder / "checkpoints" / "best.json").read_text(encoding="utf-8"))
    folder = job.folder / "checkpoints" / f"step-{int(best['step']):08d}"
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=best)
    artifact.add_file(str(folder / "weights.safetensors"))
    run.log_artifact(artifact)


def send_summary(
    name: str, folder: Path, tracking: Tracking, tags: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """One W&B run for a whole study: its comparison as a table, the first row its header."""
    identity = hashlib.sha256(f"{folder.name}/summary".encode()).hexdigest()[:16]
    mode = _mode(tracking)
    if mode != "online":
        _remove_runs(folder, identity)
    about: dict[str, Any] = {
        "id": identity,
        "project": tracking.project,
        "entity": tracking.entity or None,
        "name": f"{name} summary",
        "group": tracking.group or name,
        "job_type": "tune",
        "tags": list(tags),
        "dir": str(folder),
        "mode": mode,
        "resume": "allow",
        "reinit": "create_new",
        "settings": _settings(),
    }
    run = wandb.init(**about)
    header, *body = rows
    table = wandb.Table(columns=[str(cell) for cell in header], data=[list(row) for row in body])
    run.log({"comparison": table})
    if tracking.code_snapshot and (folder / CODE).exists():
        _send_code(run, folder / CODE)
    run.finish()
    wandb.teardown()


def sync(job: Job) -> str:
    """Make a run's W&B run anew from its ledger, whole, and send it where W&B can be reached; what
    was done, in words."""
    mirror = WandbMirror([job], mode="offline")
    for row in read_rows(job.folder):
        mirror.hear(0, row)
    mirror.close()
    (made,) = _offline_folders(job.folder, run_id(job))
    if _mode(job.tracking) != "online":
        return "made anew offline; W&B has no key here or cannot be reached"
    command = [sys.executable, "-m", "wandb", "sync", str(made)]
    sent = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_SYNC_SECONDS
    )
    if sent.returncode:
        return f"made anew offline; sending failed: {sent.stderr.strip().splitlines()[-1:]}"
    return "made anew and sent"


def run_id(job: Job) -> str:
    """The W&B id of a run: the same for the same recipe in the same folder of the same study."""
    text = json.dumps([*job.folder.parts[-2:], job.recipe.digest()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remove_offline(job: Job) -> None:
    """Take away the offline runs that were made of this run before."""
    _remove_runs(job.folder, run_id(job))


def _remove_runs(folder: Path, identity: str) -> None:
    for old in _offline_folders(folder, identity):
        shutil.rmtree(old, ignore_errors=True)
        if old.name.startswith(time.strftime("offline-run-%Y%m%d_%H%M%S")):
            time.sleep(1.0)  # W&B names a folder by the second; two runs in one would share it


def _offline_folders(folder: Path, identity: str) -> list[Path]:
    return sorted((folder / "wandb").glob(f"offline-run-*-{identity}"))


def _mode(tracking: Tracking) -> str:
    mode: str = tracking.mode
    if mode == "auto":
        has_key = wandb.login(prompt=False, verify=False)
        mode = os.environ.get("WANDB_MODE") or ("online" if has_key else "offline")
    # Asked before the first run: a run that failed to start online keeps its id for this process,
    # and cannot be begun again offline.
    if mode == "online" and not reaches(wandb.setup().settings.base_url):
        log.warning("W&B does not answer; runs are kept offline in their folders.")
        return "offline"
    return mode


def reaches(url: str) -> bool:
    """Whether the W&B server takes connections, within a few seconds."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def server() -> str:
    """The address of the W&B server that this machine is set to."""
    return str(wandb.setup().settings.base_url)


def has_key() -> bool:
    """Whether a W&B key is at hand: in the environment, in netrc, or from `wandb login`."""
    return bool(wandb.login(prompt=False, verify=False))


def _settings() -> wandb.Settings:
    return wandb.Settings(
        x_disable_meta=True,  # argv, host and user names
        disable_git=True,
        save_code=False,
        console="off",
        silent=True,
        init_timeout=_INIT_SECONDS,
    )


def _arguments(job: Job, info: Mapping[str, Any], mode: str) -> dict[str, Any]:
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
        "dir": str(job.folder),
        "mode": mode,
        "resume": "allow",
        "reinit": "create_new",
        "settings": _settings(),
    }


def _define(run: wandb.Run) -> None:
    run.define_metric("global_step")
    for pattern in ("train/*", "val/*", "system/*", "parameters/*", "gradients/*"):
        run.define_metric(pattern, step_metric="global_step")
    for pattern in ("best_model/*", "final_model/*"):
        run.define_metric(pattern, step_metric="global_step")
    for name, best in (
        ("val/total_loss", "min"),
        ("val/clip_loss", "min"),
        ("val/recall_mean", "max"),
        ("val/ndcg_mean", "max"),
    ):
        run.define_metric(name, step_metric="global_step", summary=best)


def _read_cursor(folder: Path) -> dict[str, int]:
    path = folder / _CURSOR
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_cursor(folder: Path, sent: Mapping[str, int]) -> None:
    draft = folder / f".{_CURSOR}"
    draft.write_text(json.dumps(dict(sent)), encoding="utf-8")
    draft.replace(folder / _CURSOR)
