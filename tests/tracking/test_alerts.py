"""Alerts: what is told, where, and that no training waits for who is told."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recipes import SMALL
from support.waiting import wait_until

from casas_ray.config import Recipe, Tracking
from casas_ray.errors import SettingsError
from casas_ray.records.ledger import new_row
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.alerts import ALERTS_FILE, WEBHOOK, Alerts


class Hook:
    """A webhook that really receives, and answers as it is told to."""

    def __init__(self) -> None:
        self.heard: list[dict] = []
        self.answer = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                hook.may_answer.wait()
                self.send_response(hook.answer)
                self.send_header("Location", f"{hook.address}/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *given: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/key-of-somebody"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    made = Hook()
    monkeypatch.setenv(WEBHOOK, made.address)
    yield made
    made.may_answer.set()
    made.server.shutdown()


def alerts(folder: Path, **more: object) -> Alerts:
    """Of a study of two trainings."""
    tracking = Tracking().replace({"alerts.to": "terminal,file,webhook"} | more)
    records = [
        RunRecord(f"x/{name}-seed0", folder / name, Recipe(), tracking, group="x", arm=name)
        for name in ("base", "a")
    ]
    return Alerts(records, tracking)


def start(told: Alerts, run: int) -> None:
    told.hear(run, new_row("start", 0, info={}))


def in_file(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / ALERTS_FILE).read_text().splitlines()]


def test_a_loss_that_is_no_number_is_told_once_everywhere(tmp_path: Path, hook: Hook, caplog):
    told = alerts(tmp_path)
    start(told, 0)
    for step in (5, 10):
        told.hear(0, new_row("metrics", step, metrics={"train/total_loss": "nan"}))
    told.hear(0, new_row("end", 10, status="diverged", error="/home/anna/secret"))
    told.close()
    kinds = [(each["event"], each.get("run")) for each in hook.heard]
    assert kinds == [("nan", "base-seed0"), ("done", None)]
    assert [each["event"] for each in in_file(tmp_path)] == ["nan", "done"]
    assert "alert, nan: x base-seed0: a loss is no number at step 5" in caplog.text
    assert "anna" not in json.dumps([hook.heard, in_file(tmp_path)])
    assert hook.heard[1]["text"] == "1 diverged"


def test_a_plateau_is_so_many_looks_without_a_better_one(tmp_path: Path, hook: Hook):
    told = alerts(tmp_path, **{"alerts.plateau_looks": 2})
    start(told, 1)
    for step, is_best in ((10, True), (20, False), (30, True), (40, False), (50, False)):
        told.hear(1, new_row("checkpoint", step, is_best=is_best))
    told.hear(1, new_row("end", 50, status="finished"))
    told.close()
    assert [(each["event"], each.get("step")) for each in hook.heard] == [
        ("plateau", 50),
        ("done", None),
    ]


def test_a_training_without_rows_stalls_and_one_that_ended_does_not(tmp_path: Path, hook: Hook):
    told = alerts(tmp_path, **{"alerts.stall_seconds": 1})
    for run in (0, 1):
        start(told, run)
    told.hear(0, new_row("end", 0, status="finished"))
    wait_until(lambda: bool(hook.heard))
    assert (hook.heard[0]["event"], hook.heard[0]["run"]) == ("stall", "a-seed0")
    told.close()


def test_a_webhook_that_hangs_holds_nobody_up(tmp_path: Path, hook: Hook):
    hook.may_answer.clear()
    told = alerts(tmp_path)
    for run in (0, 1):
        start(told, run)
        told.hear(run, new_row("end", 0, status="failed", error="x"))
    # Both are in the file while the first is still on its way.
    assert [each["event"] for each in in_file(tmp_path)] == ["failed", "failed"]
    wait_until(lambda: len(hook.heard) == 1)
    hook.may_answer.set()
    told.close()
    assert [each["event"] for each in hook.heard] == ["failed", "failed", "done"]


@pytest.mark.parametrize("answer", [302, 500])
def test_a_webhook_that_refuses_is_told_of_once_without_its_address(
    tmp_path: Path, hook: Hook, caplog, answer: int
):
    hook.answer = answer
    told = alerts(tmp_path)
    start(told, 0)
    told.hear(0, new_row("end", 0, status="failed", error="x"))
    told.close()
    assert len(hook.heard) == 2  # no redirect was followed
    assert caplog.text.count("the webhook did not take an alert") == 1
    assert "key-of-somebody" not in caplog.text


def test_a_webhook_without_an_address_is_refused_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for address in ("", "file:///etc/passwd", "hooks.example.org"):
        monkeypatch.setenv(WEBHOOK, address)
        with pytest.raises(SettingsError, match="names no address"):
            alerts(tmp_path)


def test_a_real_training_tells_its_end(run, tmp_path: Path, text_model: str, hook, monkeypatch):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path))
    small = [f"{name}={json.dumps(value)}" for name, value in SMALL.items()]
    words = [*small, f"text.model={text_model}", "optim.epochs=1", "--no-wandb"]
    to = "tracking.alerts.to=file,webhook"
    code, _, err = run("train", "milan_tiny", *words, "--machine", "debug", to, "--name", "told")
    assert code == 0, err
    (alert,) = in_file(tmp_path / "runs" / "told")
    assert alert["text"] == "1 finished"
    assert hook.heard == [{"event": "done", "of": "told (SIMULATED home)", "text": "1 finished"}]
    assert run("train", "milan_tiny", "tracking.alerts.to=mail")[0] == 2
