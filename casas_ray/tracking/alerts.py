"""Alerts of trainings: a loss that is no number, a stall, a plateau, a failure, the end.

They go to the terminal, into a file, or to a webhook; none of them can hold a training up.
"""

import contextlib
import json
import logging
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casas_ray.config import Tracking
from casas_ray.errors import SettingsError
from casas_ray.records.rows import Row
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.names import fitted
from casas_ray.tracking.privacy import sent_alert

log = logging.getLogger(__name__)

WEBHOOK = "CASAS_RAY_WEBHOOK"
"""The environment's name of the address; it holds a key, and so it is no setting."""

ALERTS_FILE = "alerts.jsonl"
_LOOKS_EVERY, _ANSWERS_WITHIN, _ENDS_WITHIN = 0.5, 5.0, 10.0
_MOST_WAITING = 100

Alert = Mapping[str, str | int | float]


@dataclass
class _Heard:
    """What was heard of one run."""

    at: float
    """When a row last came, by the monotonic clock."""

    step: int = 0
    status: str = "running"
    looks_without: int = 0


class Alerts:
    """A listener that raises alerts; each kind once a run."""

    def __init__(self, records: Sequence[RunRecord], tracking: Tracking) -> None:
        self._records = records
        self._alerts = tracking.alerts
        self._heard: dict[int, _Heard] = {}
        self._raised: set[tuple[int, str]] = set()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._post = _Webhook() if "webhook" in self._alerts.to else None
        self._watch = threading.Thread(target=self._watch_for_stalls, name="alerts", daemon=True)
        self._watch.start()

    def hear(self, run: int, row: Row) -> None:
        """As Listener has it."""
        with self._lock:
            heard = self._heard.setdefault(run, _Heard(0.0))
            heard.at, heard.step = time.monotonic(), row["step"]
            if row["event"] == "start":
                heard.status = "running"
            elif row["event"] == "end":
                heard.status = row["status"]
            elif row["event"] == "checkpoint":
                heard.looks_without = 0 if row.get("is_best") else heard.looks_without + 1
        self._judge(run, row, heard)

    def _judge(self, run: int, row: Row, heard: _Heard) -> None:
        if row["event"] == "metrics" and any(isinstance(each, str) for each in _losses(row)):
            self._raise(run, "nan", f"a loss is no number at step {heard.step}")
        elif row["event"] == "end" and heard.status == "diverged":
            self._raise(run, "nan", f"it diverged at step {heard.step}")
        elif row["event"] == "end" and heard.status == "failed":
            self._raise(run, "failed", f"it failed at step {heard.step}")
        elif 0 < self._alerts.plateau_looks <= heard.looks_without:
            looks = heard.looks_without
            self._raise(run, "plateau", f"no better for {looks} looks, at step {heard.step}")

    def _watch_for_stalls(self) -> None:
        while not self._ended.wait(_LOOKS_EVERY):
            self._tell_stalls()

    def _tell_stalls(self) -> None:
        now, patience = time.monotonic(), self._alerts.stall_seconds
        with self._lock:
            silent = [
                (run, heard.step)
                for run, heard in self._heard.items()
                if patience and heard.status == "running" and now - heard.at > patience
            ]
        for run, step in silent:
            self._raise(run, "stall", f"no row for {patience:g} s, since step {step}")

    def close(self) -> None:
        """As Listener has it; here the end of all is told."""
        self._ended.set()
        self._watch.join(timeout=_ENDS_WITHIN)
        if self._heard:
            counts = Counter(heard.status for heard in self._heard.values())
            said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            self._give({"event": "done", "of": self._of(), "text": said})
        if self._post:
            self._post.close()

    def _raise(self, run: int, kind: str, text: str) -> None:
        with self._lock:
            if (run, kind) in self._raised:
                return
            self._raised.add((run, kind))
        step = self._heard[run].step
        name = fitted(self._records[run].name.rpartition("/")[2])
        self._give({"event": kind, "of": self._of(), "run": name, "step": step, "text": text})

    def _of(self) -> str:
        first = self._records[0]
        marks = f" ({', '.join(first.marks)})" if first.marks else ""
        return fitted(first.group or first.name) + marks

    def _give(self, alert: Alert) -> None:
        if "terminal" in self._alerts.to:
            run = f" {alert['run']}" if "run" in alert else ""
            log.warning("alert, %s: %s%s: %s", alert["event"], alert["of"], run, alert["text"])
        if "file" in self._alerts.to:
            self._write(alert)
        if self._post:
            self._post.send(sent_alert(alert))

    def _write(self, alert: Alert) -> None:
        first = self._records[0]
        folder = first.folder.parent if first.group else first.folder
        try:
            with (Path(folder) / ALERTS_FILE).open("a", encoding="utf-8") as out:
                out.write(json.dumps({"time": round(time.time(), 3), **alert}) + "\n")
        except OSError as error:  # a full disk is told of elsewhere, and training goes on
            log.warning("%s was not written: %s", ALERTS_FILE, error.strerror)


def _losses(row: Row) -> list[object]:
    return [value for name, value in row["metrics"].items() if name.endswith("loss")]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What answers elsewhere is not followed: the address is the one that somebody chose."""

    def redirect_request(self, *given: Any, **named: Any) -> None:  # Any: as urllib has it
        """No request."""


class _Webhook:
    """Posts alerts in a thread of its own; what cannot be sent is said once, and left."""

    def __init__(self) -> None:
        self._address = webhook_address()
        self._waiting: queue.Queue[Alert | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def send(self, alert: Alert) -> None:
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            log.info("a webhook that does not answer misses an alert")

    def close(self) -> None:
        with contextlib.suppress(queue.Full):  # then it hangs, and ends with the process
            self._waiting.put_nowait(None)
        self._thread.join(timeout=_ENDS_WITHIN)

    def _work(self) -> None:
        has_failed = False
        while (alert := self._waiting.get()) is not None:
            try:
                self._send(alert)
            except Exception as error:  # a network has many ways to fail
                # Without the address: it holds a key.
                if not has_failed:
                    log.warning("the webhook did not take an alert: %s", _reason(error))
                has_failed = True

    def _send(self, alert: Alert) -> None:
        request = urllib.request.Request(
            self._address,
            json.dumps(alert).encode(),
            {"Content-Type": "application/json", "User-Agent": "casas-ray"},
        )
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(request, timeout=_ANSWERS_WITHIN):
            pass


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    return type(error).__name__


def webhook_address() -> str:
    """Where alerts are posted, as the environment says.

    Raises:
        SettingsError: it says nothing, or no address of the web.
    """
    address = os.environ.get(WEBHOOK, "")
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"tracking.alerts.to has webhook, and {WEBHOOK} names no address.",
            hint=f"export {WEBHOOK}=https://...: it holds a key, so it is no setting.",
        )
    return address
