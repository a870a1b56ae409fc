"""A storage that goes away while a run is trained, comes back or does not, is slow or never
answers: the training goes on, and the command says how its copy stands."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs
from support.commands import Commands
from support.gate import Gates
from support.proxy import proxy_to
from support.recipes import WORDS
from support.s3_server import KEYS, server
from support.waiting import wait_until

from casas_ray.records.run_result import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.faults]
TRAINING = "milan_tiny-seed0"


@pytest.fixture
def line(tmp_path: Path, text_model: str) -> list[object]:
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    return [*words, "--no-wandb", "--json", "--output-dir", tmp_path / "run"]


def gone(storage: Path) -> None:
    """As a mount that was lost: whoever asks is refused."""
    storage.rename(storage.with_name("lost"))
    storage.touch()


def back(storage: Path) -> None:
    storage.unlink()
    storage.with_name("lost").rename(storage)


def copied(storage: Path) -> set[str]:
    return {path.name for path in (storage / "run" / "checkpoints").iterdir()}


def test_a_storage_gone_for_a_while_has_all_of_the_run_in_the_end(
    words: Commands, line: list[object], tmp_path: Path, fault_gates: Gates
):
    storage = tmp_path / "storage"
    fault_gates.hold(TRAINING, step=20)
    process = words.start(*line, f"machine.storage={storage}")
    fault_gates.wait_for(TRAINING, driver=process)
    wait_until(lambda: (storage / "run" / "checkpoints").is_dir(), process=process)
    gone(storage)
    fault_gates.let_go(TRAINING)
    wait_until(lambda: "it is tried again" in words.err, process=process)
    back(storage)
    code = words.end(process)
    if code == 4:  # it was over before the storage was back
        assert f"the storage {storage} fails" in words.err
        assert words.run(*line, f"machine.storage={storage}") == 0, words.err
    assert copied(storage) == {"step-00000018", "step-00000036"}


def test_a_storage_that_does_not_come_back_is_exit_4_and_the_run_stands_here(
    words: Commands, line: list[object], tmp_path: Path, fault_gates: Gates
):
    storage = tmp_path / "storage"
    fault_gates.hold(TRAINING, step=20)
    process = words.start(*line, f"machine.storage={storage}")
    fault_gates.wait_for(TRAINING, driver=process)
    gone(storage)
    fault_gates.let_go(TRAINING)
    assert words.end(process) == 4
    assert f"the storage {storage} fails" in words.err
    assert "Traceback" not in words.err
    assert RunResult.read(tmp_path / "run").status == "finished"
    back(storage)
    assert words.run(*line, f"machine.storage={storage}") == 0, words.err
    assert json.loads(words.out)["status"] == "finished"
    assert copied(storage) == {"step-00000018", "step-00000036"}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen]]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with server() as made:
        yield made


def test_a_bucket_behind_a_slow_line_has_all_of_the_run_in_the_end(
    words: Commands, line: list[object], tmp_path: Path, s3: tuple[str, subprocess.Popen]
):
    address, _ = s3
    port = re.search(r"127\.0\.0\.1:(\d+)", address)
    assert port
    with proxy_to(int(port[1])) as between:
        between.slow_down(0.25)
        slow = address.replace(port[1], str(between.port))
        assert words.run(*line, f"machine.storage={slow}") == 0, words.err
        assert between.connections > 0
    assert json.loads(words.out)["status"] == "finished"
    assert "Traceback" not in words.err
    files, root = fs.FileSystem.from_uri(address)
    kept = files.get_file_info(fs.FileSelector(f"{root}/run/checkpoints", recursive=True))
    assert {info.base_name for info in kept if not info.is_file} == {
        "step-00000018",
        "step-00000036",
    }
    with files.open_input_stream(f"{root}/run/ledger.jsonl") as ledger:
        assert ledger.read() == (tmp_path / "run" / "ledger.jsonl").read_bytes()


@pytest.mark.skipif(
    os.environ.get("CASAS_RAY_FAULTS") != "long", reason="pyarrow asks a silent bucket for minutes"
)
def test_a_bucket_that_answers_no_more_holds_nobody_up_for_ever(
    words: Commands,
    line: list[object],
    tmp_path: Path,
    fault_gates: Gates,
    s3: tuple[str, subprocess.Popen],
):
    address, process_of_server = s3
    fault_gates.hold(TRAINING, step=20)
    process = words.start(*line, f"machine.storage={address}")
    fault_gates.wait_for(TRAINING, driver=process)
    os.kill(process_of_server.pid, signal.SIGSTOP)
    fault_gates.let_go(TRAINING)
    assert words.end(process) == 4, words.err
    assert f"the storage {address} fails" in words.err
    assert RunResult.read(tmp_path / "run").status == "finished"
    os.kill(process_of_server.pid, signal.SIGCONT)
    assert words.run(*line, f"machine.storage={address}") == 0, words.err
