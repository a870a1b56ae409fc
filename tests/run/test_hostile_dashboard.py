"""A dashboard that answers what Ray's never does: one line and exit 7, and nothing is obeyed."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.cluster.dashboard import reached, refuse_another_ray
from casas_ray.run.cluster.follow import Follower, exit_code
from casas_ray.run.cluster.job import jobs, start

EVIL = "\x1b[31m[/bold]"
VERSION = {"version": "4", "ray_version": ray.__version__, "ray_commit": "c", "session_name": "s"}
Answer = Callable[[str, str], tuple[int, object]]
"""Status and body by method and path."""


@contextmanager
def dashboard(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self.command, self.path)
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_PUT = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def always(status: int, body: object) -> Answer:
    return lambda method, path: (status, body)


def after_version(status: int, body: object) -> Answer:
    return lambda method, path: (200, VERSION) if path.endswith("version") else (status, body)


@pytest.mark.parametrize(
    "answer",
    [
        always(200, b""),
        always(200, []),
        always(200, None),
        always(200, {}),
        always(200, b"[" * 100_000),
        always(200, VERSION | {"ray_version": EVIL}),
        always(500, EVIL.encode()),
        after_version(500, EVIL.encode()),
        after_version(200, []),
        after_version(200, b"[" * 100_000),
    ],
)
def test_an_answer_that_is_none_is_one_line(answer: Answer):
    with (
        dashboard(answer) as url,
        pytest.raises(ClusterError) as caught,
        reached(Machine(dashboard=url)) as there,
    ):
        refuse_another_ray(there)
        jobs(there)
        Follower(there, "job", print, patience=0.0).to_the_end()
    assert url in caught.value.problem
    assert caught.value.exit_code == 7
    assert len(caught.value.problem) < 500


@pytest.mark.parametrize(("said", "code"), [(3, 3), (0, 0), (256, 1), (-9, 1), (99_999, 1)])
def test_no_exit_code_becomes_success_on_its_way(said: int, code: int):
    job = {"type": "SUBMISSION", "entrypoint": "x", "status": "FAILED", "driver_exit_code": said}
    with dashboard(after_version(200, job)) as url, reached(Machine(dashboard=url)) as there:
        assert exit_code(there.job("job")) == code


def test_a_cluster_of_another_ray_is_refused_before_anything_is_sent():
    with (
        dashboard(always(200, VERSION | {"ray_version": "2.59.1"})) as url,
        pytest.raises(ClusterError, match=r"has ray 2\.59\.1, this machine 2\.") as caught,
        reached(Machine(dashboard=url)) as there,
    ):
        refuse_another_ray(there)
    assert caught.value.exit_code == 7


def test_a_cluster_without_an_agent_is_told_with_the_option_that_cures_it(
    monkeypatch, tmp_path: Path
):
    monkeypatch.setattr("casas_ray.run.cluster.job._AGENT_SECONDS", 0.0)
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a", "1")
    said = after_version(500, b"No available agent to submit job, please try again later.")

    def answer(method: str, path: str) -> tuple[int, object]:
        return (200, "there already") if "/packages/" in path else said(method, path)

    with (
        dashboard(answer) as url,
        pytest.raises(ClusterError) as caught,
        reached(Machine(dashboard=url)) as there,
    ):
        start(there, "job", "casas-ray plan x", archive, lambda text: None)
    assert "takes no job" in caught.value.problem
    assert "ray start --head --dashboard-agent-listen-port=" in caught.value.hint
