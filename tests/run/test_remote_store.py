"""A worker's end of the store, over a real Ray: what it sends stands as if written here."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import worker
from support.waiting import LONG, wait_until

from casas_ray.config import Machine
from casas_ray.records.ledger import new_row, read_rows
from casas_ray.records.run_result import checkpoint_folder
from casas_ray.run.recorder import TurnLost, start_recorder
from casas_ray.run.remote_store import RemoteStore
from casas_ray.run.session import session

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def a_ray() -> Iterator[None]:
    before = os.environ.pop("RAY_ADDRESS", None)
    with session(Machine()):
        yield
    if before is not None:
        os.environ["RAY_ADDRESS"] = before


def store_of(run: Path) -> tuple[RemoteStore, Any]:
    recorder = start_recorder(run.parent)
    return RemoteStore(recorder, run, writes=True), recorder


def test_a_checkpoint_goes_there_and_comes_back_byte_by_byte(whole_run: Path, tmp_path: Path):
    store, recorder = store_of(tmp_path / "run")
    with store.last() as nothing:
        assert nothing is None
    folder = checkpoint_folder(whole_run, 36)
    store.append(new_row("start", 0, info={}))
    store.append(new_row("checkpoint", 36, is_best=True))
    store.save(36, lambda draft: _copy(folder, draft), keep=2, best=36)
    wanted = {path.name: path.read_bytes() for path in folder.iterdir()}
    kept = checkpoint_folder(tmp_path / "run", 36)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == wanted
    with RemoteStore(recorder, tmp_path / "run", writes=False).last() as read:
        assert read is not None
        assert {path.name: path.read_bytes() for path in read.iterdir()} == wanted
    scratch = Path(worker._global_node.get_session_dir_path()) / "casas-ray"
    assert list(scratch.iterdir()) == []


def _copy(source: Path, target: Path) -> None:
    for path in source.iterdir():
        shutil.copy(path, target)


def test_who_sends_faster_than_the_disk_takes_is_held_up(tmp_path: Path):
    store, recorder = store_of(tmp_path / "run")
    store.append(new_row("start", 0, info={}))
    store.confirm()
    pid: Any = ray.get(recorder.__ray_call__.remote(lambda _: os.getpid()))
    sent: list[int] = []

    def send() -> None:
        for step in range(1, 1001):
            store.append(new_row("metrics", step, metrics={}))
            sent.append(step)
        store.confirm()

    os.kill(pid, signal.SIGSTOP)
    thread = threading.Thread(target=send)
    thread.start()
    # Eight messages of a row each, and the rows that wait for an answer.
    wait_until(lambda: len(sent) >= 8 + 255)
    assert len(sent) == 8 + 255
    os.kill(pid, signal.SIGCONT)
    thread.join(timeout=LONG)
    assert [row["step"] for row in read_rows(tmp_path / "run")] == list(range(1001))


@pytest.mark.faults
def test_a_writer_whose_run_another_took_over_is_refused(tmp_path: Path):
    first, recorder = store_of(tmp_path / "run")
    first.append(new_row("start", 0, info={}))
    first.confirm()
    second = RemoteStore(recorder, tmp_path / "run", writes=True)
    second.append(new_row("start", 0, info={}))
    second.confirm()
    first.append(new_row("metrics", 7, metrics={}))
    with pytest.raises(TurnLost):
        first.confirm()
    assert [row["event"] for row in read_rows(tmp_path / "run")] == ["start"]


@pytest.mark.faults
def test_a_full_disk_says_so_and_how_the_run_ended_stands(whole_run: Path, small_disk: Path):
    store, _ = store_of(small_disk / "run")
    store.append(new_row("start", 0, info={}))
    store.append(new_row("checkpoint", 36, is_best=True))
    folder = checkpoint_folder(whole_run, 36)
    with pytest.raises(OSError, match="No space left on device"):
        store.save(36, lambda draft: _copy(folder, draft), keep=2, best=36)
    store.append(new_row("end", 36, status="failed", error="full"))
    store.confirm()
    events = [row["event"] for row in read_rows(small_disk / "run")]
    assert events == ["start", "checkpoint", "end"]
