"""A study on two real Ray nodes that share no disk: nothing of it stays on a worker's."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gate import Gates
from support.ledgers import assert_same_run
from support.nodes import Nodes, apart, mounts_of
from support.recipes import SMALL
from support.waiting import LONG, wait_until
from support.wandb_server import KEY, WandbServer, serving

from casas_ray.records.run_result import RunResult

pytestmark = pytest.mark.slow


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
    path = tmp_path / "apart.py"
    changes = {**SMALL, "text.model": text_model}
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({changes!r})\n"
        "STUDY = Study(question='Less?', base=BASE, seeds=(0, 1),\n"
        "    arms=each('model.dropout', [0.0]))\n"
    )
    return path


def environment(server: WandbServer) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("WANDB_MODE", "RAY_ADDRESS") and "WANDB_SERVICE" not in name
    }
    return {**own, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}


def casas_ray(*words: object) -> list[str]:
    return [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]


def mounts_of_held(gates: Gates) -> set[str]:
    """The mount namespaces of all processes that are held."""
    return {mounts_of(int(mark.name.split(".")[1])) for mark in gates.folder.glob("*.held")}


HELD = ("small-seed0", "small-seed1")


@contextlib.contextmanager
def started(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, env=env, stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()


def test_a_study_over_two_nodes_without_a_shared_disk_loses_nothing(
    two_nodes: Nodes, study: Path, server: WandbServer, gates: Gates
):
    words = ["tune", study, "--json", "--fresh", "tracking.log_every=5"]
    env = environment(server)
    for name in HELD:
        gates.hold(name, step=3)
    with started(casas_ray(*words, f"machine.address={two_nodes.address}"), env) as process:
        # One CPU a node: the two that are held at once are on the two nodes.
        wait_until(lambda: len(list(gates.folder.glob("*.held"))) == 2, process=process)
        assert mounts_of_held(gates) == {two_nodes.mounts_of(0), two_nodes.mounts_of(1)}
        for name in HELD:
            gates.let_go(name)
        out, err = process.communicate(timeout=4 * LONG)
    assert process.returncode == 0, err
    alone = subprocess.run(
        casas_ray(*words, "--machine", "debug", "--no-wandb"),
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    told, wanted = json.loads(out), json.loads(alone.stdout)
    assert told | {"folder": ""} == wanted | {"folder": ""}
    apart, together = Path(told["folder"]), Path(wanted["folder"])
    names = [path.parent.name for path in sorted(apart.glob("*/run.json"))]
    assert len(names) == 4
    for name in names:
        assert RunResult.read(apart / name).status == "finished"
        assert_same_run(apart / name, together / name)
    assert_sent_once(server, 4)


def assert_sent_once(server: WandbServer, trials: int) -> None:
    runs = [name for name, held in server.runs.items() if held.get("jobType") == "tune"]
    trainings = [name for name in runs if "training/status" in server.runs[name]["summary"]]
    assert len(trainings) == trials
    for name in trainings:
        keys = [(row["global_step"], key) for row in server.history(name) for key in row]
        assert len(keys) == len(set(keys))
        assert server.runs[name]["summary"]["training/status"] == "finished"
