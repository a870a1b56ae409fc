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
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb

from casas_ray.config import Tracking
from casas_ray.run.job import Job

log = logging.getLogger(__name__)

_INIT_SECONDS = 8
_REACH_SECONDS = 5
_CURSOR = "wandb.json"
_PRIVATE_SETTINGS = frozenset({"recipe.text.model", "recipe.data.captions.file"})
"""Settings that can hold a path of this machine."""

_INFO_SENT = ("home", "caveats", "fingerprint", "total_steps", "trainable_parameters", "workers")


class WandbMirror:
    """Passes each row of the followed ledgers to its W&B run, once.

    A file beside each ledger remembers how far its W&B run has come; a resumed training repeats
    rows that were sent before, and those are skipped (they are the same numbers).
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)
        self._runs: dict[int, wandb.Run] = {}
        self._sent: dict[int, dict[str, int]] = {}
        self._mode = ""

    def hear(self, run: int, row: dict[str, Any]) -> None:
        """A new row of a run's ledger."""
        if row["event"] == "start":
            self._open(run, row)
        elif row["event"] == "metrics":
            self._log(run, row)
        elif row["event"] == "end" and run in self._runs:
            self._finish(run, row["status"])

    def close(self) -> None:
        """End the W&B runs whose ledgers never did."""
        for run in list(self._runs):
            self._finish(run, "running")

    def _open(self, run: int, row: Mapping[str, Any]) -> None:
        if run in self._runs:  # the training was taken up again within this sweep
            return
        job = self._jobs[run]
        self._mode = self._mode or _mode(job.tracking)
        self._runs[run] = wandb.init(**_arguments(job, row["info"], self._mode))
        _define(self._runs[run])
        self._sent[run] = _read_cursor(job.folder)

    def _log(self, run: int, row: Mapping[str, Any]) -> None:
        numbers = {
            name: value for name, value in row["metrics"].items() if not isinstance(value, str)
        }
        kind = next(iter(row["metrics"])).partition("/")[0]
        if run not in self._runs or row["step"] <= self._sent[run].get(kind, -1):
            return
        self._runs[run].log({**numbers, "global_step": row["step"]})
        self._sent[run][kind] = row["step"]

    def _finish(self, run: int, status: str) -> None:
        wandb_run = self._runs.pop(run)
        wandb_run.summary["training/status"] = status
        wandb_run.finish(exit_code=0 if status == "finished" else 1)
        _write_cursor(self._jobs[run].folder, self._sent[run])


def run_id(job: Job) -> str:
    """The W&B id of a run: the same for the same recipe in the same folder of the same study."""
    text = json.dumps([*job.folder.parts[-2:], job.recipe.digest()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _mode(tracking: Tracking) -> str:
    mode: str = tracking.mode
    if mode == "auto":
        has_key = wandb.login(prompt=False, verify=False)
        mode = os.environ.get("WANDB_MODE") or ("online" if has_key else "offline")
    # Asked before the first run: a run that failed to start online keeps its id for this process,
    # and cannot be begun again offline.
    if mode == "online" and not _answers(wandb.setup().settings.base_url):
        log.warning("W&B does not answer; runs are kept offline in their folders.")
        return "offline"
    return mode


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def _arguments(job: Job, info: Mapping[str, Any], mode: str) -> dict[str, Any]:
    name = job.name if job.group else job.tracking.name or job.name
    settings = wandb.Settings(
        x_disable_meta=True,  # argv, host and user names
        disable_git=True,
        save_code=False,
        console="off",
        silent=True,
        init_timeout=_INIT_SECONDS,
    )
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
        "settings": settings,
    }


def sent_config(info: Mapping[str, Any]) -> dict[str, Any]:
    """What W&B learns of a run: its settings and counts; no path, no name of a person or a host."""
    recipe = {f"recipe.{path}": value for path, value in info.get("recipe", {}).items()}
    allowed = {path: value for path, value in recipe.items() if path not in _PRIVATE_SETTINGS}
    return allowed | {name: info[name] for name in _INFO_SENT if name in info}


def _define(run: wandb.Run) -> None:
    run.define_metric("global_step")
    for pattern in ("train/*", "val/*"):
        run.define_metric(pattern, step_metric="global_step")


def _read_cursor(folder: Path) -> dict[str, int]:
    path = folder / _CURSOR
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_cursor(folder: Path, sent: Mapping[str, int]) -> None:
    (folder / _CURSOR).write_text(json.dumps(dict(sent)), encoding="utf-8")
