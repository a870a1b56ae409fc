"""A study on two real Ray nodes that share no disk: nothing of it stays on a worker's."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gate import Gates, new_gates
from support.ledgers import assert_same_run
from support.nodes import Nodes, apart, mounts_of
from support.recipes import WORDS
from support.studies import write_study
from support.waiting import LONG, wait_until
from support.wandb_server import KEY, WandbServer, serving

from casas_ray.records.ledger import rows_of
from casas_ray.records.run_result import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def gates() -> Gates:
    """Gates of these tests alone: they count who is held there."""
    return new_gates()


@pytest.fixture(scope="module")
def two_nodes(data_root: Path, gates: Gates) -> Iterator[Nodes]:
    # All folders of this test session are hidden from the second node, not the data folder alone.
    with apart(data_root.parent, gates.environment(), 1, 1) as nodes:
        yield nodes


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as made:
        yield made


@pytest.fixture
def study(tmp_path: Path, text_model: str) -> Path:
    """Four trials, each of which ends well."""
    return write_study(tmp_path / "apart.py", text_model, seeds=(0, 1))


def environment(server: WandbServer) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("WANDB_MODE", "RAY_ADDRESS") and "WANDB_SERVICE" not in name
    }
    return {**own, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}


def casas_ray(*words: object) -> list[str]:
    return [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]


def held(gates: Gates) -> list[int]:
    """The processes that are held."""
    return [int(mark.name.split(".")[1]) for mark in gates.folder.glob("*.held")]


HELD = ("small-seed0", "small-seed1")


@contextlib.contextmanager
def started(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, env=env, stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture
def alone(study: Path, server: WandbServer) -> dict:
    """The study's table when one process trains it here."""
    words = ["tune", study, "--json", "--fresh", "tracking.log_every=5", "--machine", "debug"]
    ended = subprocess.run(
        casas_ray(*words, "--no-wandb"),
        env=environment(server),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout)


def tuned_apart(nodes: Nodes, study: Path, gates: Gates, env: dict[str, str], *, step: int):
    """The study over two nodes of one CPU, when a trial is held on each."""
    for name in HELD:
        gates.hold(name, step=step)
    words = ["tune", study, "--json", "--fresh", "tracking.log_every=5"]
    return started(casas_ray(*words, f"machine.address={nodes.address}"), env)


def let_go(gates: Gates) -> None:
    for name in HELD:
        gates.let_go(name)


def assert_same_study(told: dict, wanted: dict) -> None:
    for table in (told, wanted):  # when its rule was written, and where, each has its own
        table["rule"] = table["rule"] | {"written": ""}
    assert told | {"folder": ""} == wanted | {"folder": ""}
    apart, together = Path(told["folder"]), Path(wanted["folder"])
    names = [path.parent.name for path in sorted(apart.glob("*/run.json"))]
    assert len(names) == 4
    for name in names:
        assert RunResult.read(apart / name).status == "finished"
        assert_same_run(apart / name, together / name)


def test_a_study_over_two_nodes_without_a_shared_disk_loses_nothing(
    two_nodes: Nodes, study: Path, server: WandbServer, gates: Gates, alone: dict
):
    with tuned_apart(two_nodes, study, gates, environment(server), step=3) as process:
        wait_until(lambda: len(held(gates)) == 2, process=process, seconds=2 * LONG)
        assert set(map(mounts_of, held(gates))) == {two_nodes.mounts_of(0), two_nodes.mounts_of(1)}
        let_go(gates)
        out, err = process.communicate(timeout=4 * LONG)
    assert process.returncode == 0, err
    assert_same_study(json.loads(out), alone)
    assert_sent_once(server, 4)
    assert two_nodes.files_of(1) == []


def test_a_trial_of_a_node_that_is_lost_goes_on_elsewhere_from_the_store(
    study: Path, server: WandbServer, gates: Gates, alone: dict, data_root: Path
):
    with (
        apart(data_root.parent, gates.environment(), 1, 1) as nodes,
        # The checkpoint of the first of two epochs is behind them.
        tuned_apart(nodes, study, gates, environment(server), step=20) as process,
    ):
        wait_until(lambda: len(held(gates)) == 2, process=process, seconds=2 * LONG)
        nodes.kill(1)
        let_go(gates)
        out, err = process.communicate(timeout=4 * LONG)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert_same_study(told, alone)
    starts = [
        row["step"]
        for path in Path(told["folder"]).glob("*/ledger.jsonl")
        for row in rows_of(path)
        if row["event"] == "start"
    ]
    assert sorted(starts) == [0, 0, 0, 0, 18]
    assert_sent_once(server, 4)


def test_a_trainer_wider_than_each_node_is_spread_and_a_worker_wider_is_refused(
    two_nodes: Nodes, text_model: str, server: WandbServer, tmp_path: Path
):
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--no-wandb", "--json"]
    words += ["tracking.log_every=5", f"machine.address={two_nodes.address}"]
    env = environment(server)

    def trained(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
        command = casas_ray(*words, "--output-dir", folder, *more)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    refused = trained(tmp_path / "wide", "machine.cpus_per_worker=2")
    assert refused.returncode == 7
    assert "1 worker(s) want 2 CPU and 0 GPU each; the cluster's nodes hold 0." in refused.stderr
    for workers, folder in ((2, tmp_path / "two"), (1, tmp_path / "one")):
        ended = trained(folder, f"machine.workers={workers}")
        assert ended.returncode == 0, ended.stderr
    two, one = RunResult.read(tmp_path / "two"), RunResult.read(tmp_path / "one")
    assert (two.info["workers"], one.info["workers"]) == (2, 1)
    assert two.metrics_at(36, "val/total_loss") == pytest.approx(
        one.metrics_at(36, "val/total_loss"), rel=1e-5
    )
    assert two_nodes.files_of(1) == []


def assert_sent_once(server: WandbServer, trials: int) -> None:
    runs = [name for name, held in server.runs.items() if held.get("jobType") == "tune"]
    trainings = [name for name in runs if "training/status" in server.runs[name]["summary"]]
    assert len(trainings) == trials
    for name in trainings:
        rows = server.history(name)
        keys = [(row["global_step"], key) for row in rows for key in row if "/" in key]
        assert len(keys) == len(set(keys))
        assert {step for step, key in keys if key == "val/total_loss"} == {0, 18, 36}
        assert server.runs[name]["summary"]["training/status"] == "finished"
