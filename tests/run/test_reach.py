"""Addresses of nobody: refused within seconds, in a line that says what named them."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from support.recipes import WORDS

SECONDS = 15.0


@pytest.fixture
def nobody() -> str:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{holder.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(16)
        yield f"127.0.0.1:{holder.getsockname()[1]}"


class _Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def somebody() -> Iterator[str]:
    """Another server, which knows nothing of Ray."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(params=["nobody", "silent", "somebody"])
def address(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


COMMANDS = [
    ["train", "milan_baseline", *WORDS, "--no-wandb"],
    ["tune", "milan_ablation_mlm", "--simulated", "--quick", "--no-wandb"],
]


@pytest.mark.faults
@pytest.mark.parametrize("command", COMMANDS, ids=["train", "tune"])
def test_an_address_of_nobody_in_the_environment_is_exit_7(
    run, address: str, command: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_ADDRESS", address)
    began = time.monotonic()
    code, _, err = run(*command)
    assert code == 7, err
    assert f"no Ray cluster answers at RAY_ADDRESS={address}" in err
    assert time.monotonic() - began < SECONDS


@pytest.mark.faults
def test_an_address_of_nobody_on_the_line_is_exit_7(run, address: str):
    began = time.monotonic()
    code, _, err = run("train", "milan_baseline", *WORDS, f"machine.address={address}")
    assert code == 7, err
    assert f"no Ray cluster answers at machine.address={address}" in err
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("odd", ["notanaddress", "host:", ":6379", "127.0.0.1:99999", "a:b"])
def test_what_is_no_address_is_exit_7(run, odd: str):
    code, _, err = run("train", "milan_baseline", *WORDS, f"machine.address={odd}")
    assert (code, "wanted HOST:PORT" in err) == (7, True), err


def test_a_dashboard_of_nobody_is_exit_7(run, address: str):
    began = time.monotonic()
    code, _, err = run("submit", "--dashboard", f"http://{address}", "--", "plan", "x")
    assert code == 7, err
    assert f"no Ray dashboard answers at machine.dashboard=http://{address}" in err
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("odd", ["notaurl", "http://", "ray://x:1", "http://[::1", "http://a:b"])
def test_a_dashboard_that_is_no_address_is_exit_7(run, odd: str):
    code, _, err = run("submit", "--dashboard", odd, "--", "plan", "x")
    assert (code, f"machine.dashboard={odd}" in err) == (7, True), err
