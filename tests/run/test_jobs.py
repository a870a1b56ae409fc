"""What a user does with a cluster, on a real one of three nodes that share no disk: push, submit,
jobs, logs, attach, stop, pull; and a network that breaks meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gate import Gates, new_gates
from support.ledgers import assert_same_run
from support.nodes import Nodes, apart
from support.proxy import proxy_to
from support.studies import write_study
from support.waiting import LONG, wait_until

from casas_ray.records.run_result import RunResult

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gates() -> Gates:
    """Gates of these tests alone."""
    return new_gates()


@pytest.fixture(scope="module")
def head_data(data_root: Path) -> Path:
    """The data folder of the cluster's head, which is not that of who types commands."""
    return data_root.parent / "head_data"


@pytest.fixture(scope="module")
def nodes(data_root: Path, head_data: Path, gates: Gates) -> Iterator[Nodes]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {**gates.environment(), "CASAS_RAY_DATA": str(head_data), "PATH": path}
    with apart(data_root.parent, own, 1, 1, 1) as made:
        wait_until(lambda: casas_ray("jobs", "--dashboard", made.dashboard).returncode == 0)
        yield made


def casas_ray(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]
    own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False)


def started(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]
    own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=own, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, text_model: str) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "sent.py", text_model, seeds=(0, 1))


def submit(nodes: Nodes, *words: object) -> subprocess.CompletedProcess[str]:
    return casas_ray("submit", "--dashboard", nodes.dashboard, "--", *words)


def names_of(nodes: Nodes) -> list[str]:
    told = casas_ray("jobs", "--json", "--dashboard", nodes.dashboard)
    return [job["job"] for job in json.loads(told.stdout)]


def test_a_study_is_checked_sent_followed_and_pulled(
    nodes: Nodes, study: Path, head_data: Path, data_root: Path
):
    ended = submit(nodes, "tune", study, "--no-wandb", "--json", "tracking.log_every=5")
    assert ended.returncode == 0, ended.stderr
    assert "the cluster has 3 node(s), 3 CPUs, 0 GPUs; python " in ended.stderr
    assert "files that git tracks travel" in ended.stderr
    for index in (1, 2):
        assert nodes.files_of(index) == []
    pulled = casas_ray("pull", "sent", "--json", "--dashboard", nodes.dashboard)
    assert pulled.returncode == 0, pulled.stderr
    here = Path(json.loads(pulled.stdout)["folder"])
    there = head_data / "runs" / here.name
    assert here.parent == data_root / "runs"
    names = sorted(path.parent.name for path in there.glob("*/run.json"))
    assert len(names) == 4
    for name in names:
        one, other = RunResult.read(here / name), RunResult.read(there / name)
        assert (one.status, one.rows) == ("finished", other.rows)
        kept = [path.name for path in (here / name / "checkpoints").iterdir()]
        assert kept == [f"step-{one.best_step:08d}"]
    assert (here / "results.json").read_bytes() == (there / "results.json").read_bytes()
    shown = casas_ray("table", here)
    assert (shown.returncode, "Less?" in shown.stdout) == (0, True)
    whole = casas_ray("pull", here.name, "--weights", "all", "--dashboard", nodes.dashboard)
    assert whole.returncode == 0, whole.stderr
    for name in names:
        assert_same_run(here / name, there / name)
    assert not list(Path("/tmp").glob("casas-ray-*/session_latest/logs/casas-ray-packed-*"))
    assert all(not name.startswith("errand-") for name in names_of(nodes))


def test_exit_codes_are_the_commands_own_and_attach_gives_them_again(nodes: Nodes):
    missing = submit(nodes, "tune", "milan_ablation_mlm", "data.homes=cairo")
    assert missing.returncode == 4, missing.stdout
    assert "on this cluster no log of home 'cairo' is at hand" in missing.stdout
    assert "`casas-ray push cairo`" in missing.stdout
    job = names_of(nodes)[-1]
    assert job.startswith("tune-milan_ablation_mlm-")
    again = casas_ray("attach", job, "--dashboard", nodes.dashboard)
    assert (again.returncode, again.stdout) == (4, missing.stdout)
    for words in (("logs", job), ("logs", job, "--follow")):
        told = casas_ray(*words, "--dashboard", nodes.dashboard)
        assert told.returncode == 0
        assert "no log of home 'cairo' is at hand" in told.stdout
    table = casas_ray("jobs", "--dashboard", nodes.dashboard)
    assert "failed, exit 4" in table.stdout
    nobody = casas_ray("attach", "nobody", "--dashboard", nodes.dashboard)
    assert (nobody.returncode, "knows of no job nobody" in nobody.stderr) == (7, True)


def test_a_cluster_that_is_too_small_is_refused_before_the_job_is_sent(nodes: Nodes):
    before = names_of(nodes)
    refused = submit(nodes, "tune", "milan_ablation_mlm", "machine.workers=64")
    assert refused.returncode == 7
    assert "64 worker(s) want 64 CPU; the cluster has 3" in refused.stderr
    unwritable = submit(nodes, "tune", "milan_ablation_mlm", "machine.storage=/proc/nowhere")
    assert unwritable.returncode == 4
    assert "the storage /proc/nowhere fails" in unwritable.stderr
    assert names_of(nodes) == before


def test_a_homes_log_is_pushed_once_and_used_there(nodes: Nodes, head_data: Path, data_root: Path):
    folder = data_root / "raw" / "pushed"
    folder.mkdir(parents=True)
    lines = [
        f"2026-01-{day:02d} 10:00:{second:02d} M001 ON\n"
        for day in range(1, 20)
        for second in range(60)
    ]
    (folder / "data.txt").write_text("".join(lines))
    sent = casas_ray("push", "pushed", "--json", "--dashboard", nodes.dashboard)
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["sent"] == ["pushed"]
    arrived = head_data / "raw" / "pushed" / "data.txt"
    assert arrived.read_bytes() == (folder / "data.txt").read_bytes()
    again = casas_ray("push", "pushed", "--json", "--dashboard", nodes.dashboard)
    assert json.loads(again.stdout) == {"sent": [], "there": ["pushed"], "bytes": 0}
    (folder / "data.txt").write_text("2026-01-01 10:00:00 M001 OFF\n")
    refused = casas_ray("push", "pushed", "--dashboard", nodes.dashboard)
    assert refused.returncode == 8
    assert "is another log of 'pushed'" in refused.stderr


def test_a_network_that_breaks_and_falls_silent_costs_no_line_and_no_exit_code(
    nodes: Nodes, study: Path, gates: Gates
):
    gates.hold("small-seed0", step=3)
    with proxy_to(int(nodes.dashboard.rpartition(":")[2])) as proxy:
        at = ("--dashboard", f"http://127.0.0.1:{proxy.port}")
        words = ("tune", study, "--fresh", "--no-wandb", "--seeds", "1")
        process = started("submit", *at, "--", *words)
        gates.wait_for("small-seed0", driver=process)
        for _ in range(2):
            before = proxy.connections
            proxy.cut()
            wait_until(lambda before=before: proxy.connections > before, process=process)
        proxy.fall_silent()
        impatient = started("attach", names_of(nodes)[-1], "--patience", "1", *at)
        assert impatient.wait(timeout=LONG) == 7
        proxy.pass_on()
        gates.let_go("small-seed0")
        out, err = process.communicate(timeout=2 * LONG)
    assert process.returncode == 0, err
    whole = casas_ray("logs", names_of(nodes)[-1], "--dashboard", nodes.dashboard).stdout
    assert out == whole


def test_plain_ray_job_submit_runs_the_same_command(nodes: Nodes):
    ray = Path(sys.executable).with_name("ray")
    words = ["job", "submit", "--address", nodes.dashboard, "--working-dir", "."]
    own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    ended = subprocess.run(
        [ray, *words, "--", "casas-ray", "plan", "milan_ablation_mlm"],
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "5 arms x 6 seeds = 30 trials" in ended.stdout
