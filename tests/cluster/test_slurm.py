"""cluster/study.sbatch on a real Slurm of two nodes, with a real Ray cluster within each job."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gate import Gates, new_gates
from support.processes import running
from support.recipes import WORDS
from support.slurm import slurm
from support.waiting import LONG, wait_until

from casas_ray.records.run_result import RunResult

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[2] / "cluster" / "study.sbatch"
MARK = "CASAS_RAY_TEST_SLURM"


@pytest.fixture(scope="module")
def gates() -> Gates:
    """Gates of these tests alone."""
    return new_gates()


@pytest.fixture(scope="module")
def environment(gates: Gates) -> Iterator[dict[str, str]]:
    with slurm(nodes=2, cpus=2) as env:
        path = f"{Path(sys.executable).parent}:{env['PATH']}"
        python = gates.environment()["PYTHONPATH"]
        package = str(Path(__file__).parents[2])
        own = {**gates.environment(), "PATH": path, "PYTHONPATH": f"{python}:{package}"}
        free = {name: value for name, value in env.items() if not name.startswith("RAY_")}
        yield {**free, **own, MARK: str(os.getpid())}


def submitted(
    environment: dict[str, str], folder: Path, *words: object
) -> subprocess.CompletedProcess[str]:
    (folder / "cluster").mkdir(exist_ok=True)
    (folder / "cluster" / "mine.toml").write_text(
        '[slurm]\npartition = "gpu"\nnodes = 2\ncpus_per_node = 2\nminutes = 10\n'
    )
    command = [sys.executable, "-m", "casas_ray", "submit", "--machine", "mine", "--"]
    return subprocess.run(
        [*command, *(str(word) for word in words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_of_two_nodes_trains_over_both_and_ends_with_the_commands_code(
    environment: dict[str, str], tmp_path: Path, text_model: str
):
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--no-wandb"]
    words += ["--output-dir", tmp_path / "out", "machine.workers=2", "machine.cpus_per_worker=2"]
    ended = submitted(environment, tmp_path, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = RunResult.read(tmp_path / "out")
    assert (result.status, result.info["workers"]) == ("finished", 2)
    refused = submitted(environment, tmp_path, "tune", "milan_ablation_mlm", "data.homes=cairo")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "no log of home 'cairo' is at hand" in refused.stdout
    assert running(MARK, "raylet|gcs_server") == []


def test_a_job_that_is_told_to_end_writes_a_checkpoint_and_leaves_nothing(
    environment: dict[str, str], tmp_path: Path, text_model: str, gates: Gates
):
    gates.hold("milan_tiny-seed0", step=5)
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--no-wandb"]
    words += ["--output-dir", str(tmp_path / "out")]
    sbatch = ["sbatch", "--parsable", "--nodes=1", "--cpus-per-task=2", str(SCRIPT), *words]
    sent = subprocess.run(
        sbatch, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    job = sent.stdout.strip()
    gates.wait_for("milan_tiny-seed0")
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], env=environment, check=True)
    gates.let_go_when_asked("milan_tiny-seed0")
    log = tmp_path / f"casas-ray-{job}.out"
    wait_until(lambda: not _is_queued(environment, job), seconds=2 * LONG)
    gates.let_go("milan_tiny-seed0")
    assert "told to end" in log.read_text()
    result = RunResult.read(tmp_path / "out")
    assert (result.status, result.error) == ("stopped", "asked to stop")
    assert (tmp_path / "out" / "checkpoints" / f"step-{result.step:08d}").is_dir()
    asked = ["scontrol", "show", "job", job]
    told = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert "ExitCode=143:0" in told.stdout
    wait_until(lambda: running(MARK, "raylet|gcs_server") == [])


def _is_queued(environment: dict[str, str], job: str) -> bool:
    asked = ["squeue", "--noheader", f"--jobs={job}", "--format=%T"]
    told = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    return bool(told.stdout.strip())
