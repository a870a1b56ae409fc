"""A job's log over a network that breaks: every line once, the job's own exit code, and never a
wait without end."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.job_service import JobService, job_service
from support.waiting import wait_until

from casas_ray.config import Machine
from casas_ray.errors import ClusterError
from casas_ray.run.cluster import follow
from casas_ray.run.cluster.dashboard import reached
from casas_ray.run.cluster.job import attach

LINES = [f"line {number} of many" for number in range(40)]
JOB = "tune-x-1a2b3c"


@pytest.fixture
def service() -> Iterator[JobService]:
    with job_service() as made:
        yield made


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(follow, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr("casas_ray.run.cluster.dashboard._AGAIN_SECONDS", 0.1)


class Following(threading.Thread):
    """Somebody who follows the job of a service."""

    def __init__(self, service: JobService, *, patience: float = 60.0) -> None:
        super().__init__(daemon=True)
        self.heard: list[str] = []
        self.code: int | None = None
        self.error: ClusterError | None = None
        self._service, self._patience = service, patience
        self.start()

    def run(self) -> None:
        try:
            with reached(Machine(dashboard=self._service.url)) as there:
                self.code = attach(there, JOB, self._take, lambda _: None, patience=self._patience)
        except ClusterError as error:
            self.error = error

    def _take(self, text: str) -> None:
        self.heard += text.split("\n")

    def end(self) -> None:
        self.join(timeout=60)
        assert not self.is_alive()


def write(service: JobService, *, most: int) -> None:
    service.log += "".join(f"{line}\n" for line in LINES[len(service.log.splitlines()) : most])


def test_a_log_is_passed_on_once_through_connections_that_break_anywhere(service: JobService):
    following = Following(service)
    for most in (10, 20, 30):
        write(service, most=most)
        service.log += LINES[most][:5]  # a line that has begun
        wait_until(lambda most=most: len(following.heard) >= most)
        before = service.connections
        service.drop()
        wait_until(lambda before=before: service.connections > before)
        service.log = service.log[:-5]
        write(service, most=most + 1)
    write(service, most=len(LINES))
    service.log += "an end without a line break"
    service.end("FAILED", 5)
    following.end()
    assert following.code == 5
    assert following.heard == [*LINES, "an end without a line break"]


@given(st.text(alphabet="ab\n\u00e9", max_size=60), st.lists(st.integers(1, 20), max_size=6))
@settings(max_examples=50, deadline=None)
def test_any_log_cut_anywhere_comes_whole(log: str, cuts: list[int]):
    heard: list[str] = []
    follower = follow.Follower(None, JOB, heard.append)  # type: ignore[arg-type]
    done = 0
    for cut in cuts:
        follower._take(log[done : done + cut])
        done = min(len(log), done + cut)
    follower._take(log[done:])
    whole = "\n".join(heard) + ("\n" if heard else "") + follower._rest
    assert whole == log


def test_a_cluster_that_is_silent_for_too_long_is_exit_7_and_never_a_success(service: JobService):
    following = Following(service, patience=1.0)
    write(service, most=3)
    wait_until(lambda: len(following.heard) == 3)
    began = time.monotonic()
    service.fall_silent()
    service.end("SUCCEEDED", 0)  # which nobody can know
    following.join(timeout=60)
    assert following.code is None
    assert following.error is not None
    assert following.error.exit_code == 7
    assert service.url in following.error.problem
    assert time.monotonic() - began < 60


def test_a_cluster_that_is_silent_for_a_while_is_followed_on(service: JobService):
    following = Following(service, patience=60.0)
    write(service, most=3)
    wait_until(lambda: len(following.heard) == 3)
    service.fall_silent()
    time.sleep(1.0)  # longer than a look
    service.drop()
    write(service, most=6)
    service.end("FAILED", 6)
    service.speak()
    following.end()
    assert (following.code, following.heard) == (6, LINES[:6])


def test_a_connection_that_a_network_forgot_does_not_hide_the_end(service: JobService):
    write(service, most=2)
    service.tails_only = len(service.log)
    following = Following(service)
    wait_until(lambda: len(following.heard) == 2)
    write(service, most=9)
    service.end("SUCCEEDED", 0)
    following.end()
    assert (following.code, following.heard) == (0, LINES[:9])


def test_a_stale_connection_is_made_anew(service: JobService, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow, "_STALE_SECONDS", 0.5)
    following = Following(service)
    write(service, most=2)
    wait_until(lambda: len(following.heard) == 2 and service.connections >= 2)
    service.end("STOPPED", None)
    following.end()
    assert (following.code, following.heard) == (143, LINES[:2])


def test_a_head_that_has_forgotten_the_job_is_exit_7(service: JobService):
    following = Following(service)
    write(service, most=1)
    wait_until(lambda: len(following.heard) == 1)
    service.knows_job = False
    service.drop()
    following.end()
    assert following.error is not None
    assert f"knows of no job {JOB}" in following.error.problem
    assert following.error.exit_code == 7
