"""Real Ray: two workers, trials, a killed worker, a job. One cluster for all of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ray.tune import ExperimentAnalysis, ResultGrid
from support.gate import Gates
from support.ledgers import rows_of, weights
from support.recipes import WORDS
from support.waiting import LONG, wait_until

from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.training_data import TrainingData
from casas_ray.records import checkpoints
from casas_ray.records.provenance import UNKNOWN, code_state
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import read_study
from casas_ray.run.launch import run_training
from casas_ray.training.local import train_here

pytestmark = pytest.mark.slow
TWO = Machine(workers=2)


def free_ports(count: int) -> list[int]:
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


@pytest.fixture(scope="session")
def dashboard(data_root: Path, gates: Gates) -> Iterator[str]:
    """A head of two CPUs in a folder of its own; RAY_ADDRESS names it while tests run."""
    folder = tempfile.mkdtemp(prefix="casas-ray-")  # short: Unix sockets have short names
    port, dashboard_port = free_ports(2)
    before = dict(os.environ)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}
    os.environ |= gates.environment()  # for the workers that this head will start
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["start", "--head", "--block", "--num-cpus=2", f"--port={port}"]
    words += [f"--dashboard-port={dashboard_port}", f"--temp-dir={folder}"]
    ray = Path(sys.executable).with_name("ray")
    with (Path(folder) / "head.log").open("w") as log:
        head = subprocess.Popen([ray, *words], stdout=log, stderr=log, start_new_session=True)
    os.environ["RAY_ADDRESS"] = f"127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(dashboard_port))
        yield f"http://127.0.0.1:{dashboard_port}"
    finally:
        os.killpg(head.pid, signal.SIGKILL)  # its own session; a graceful end takes half a minute
        head.wait(timeout=60)
        os.environ.clear()
        os.environ |= before
        shutil.rmtree(folder, ignore_errors=True)


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def data(small_set: PreparedSet, small_vectors: np.ndarray) -> TrainingData:
    return TrainingData(small_set, small_vectors)


def record_in(folder: Path, recipe: Recipe) -> RunRecord:
    return RunRecord(
        folder.name, folder, recipe, Tracking(log_every=5), caveats=("SIMULATED home",)
    )


def nearness(metric: str) -> dict[str, float]:
    """How near two and one worker must be: a rank can flip on the last bit of a float."""
    if "recall" in metric:
        return {"abs": 2.5 / 300}  # two of the 341 windows of the gallery
    if "acc" in metric:
        return {"abs": 1.5 / 32}  # one of a batch
    return {"rel": 1e-5 if "loss" in metric else 1e-4}


@pytest.fixture(scope="module")
def by_two(
    dashboard: str,
    tmp_path_factory: pytest.TempPathFactory,
    small_recipe: Recipe,
    small_set: PreparedSet,
    small_vectors: np.ndarray,
) -> RunRecord:
    """A run of two workers that nobody disturbed."""
    recipe = small_recipe.replace({"optim.epochs": 8})
    job = record_in(tmp_path_factory.mktemp("by_two") / "run", recipe)
    result = run_training(job, TWO, TrainingData(small_set, small_vectors), [])
    assert result.info["workers"] == 2
    return job


def test_two_workers_give_the_losses_of_one(by_two: RunRecord, tmp_path: Path, data: TrainingData):
    alone = record_in(tmp_path / "alone", by_two.recipe)
    train_here(alone, Machine(), data)
    one, two = rows_of(alone.folder), rows_of(by_two.folder)
    assert [(row["event"], row["step"]) for row in one] == [
        (row["event"], row["step"]) for row in two
    ]
    pairs = [(row, other) for row, other in zip(one, two, strict=True) if row["step"] <= 54]
    for row, other in pairs:
        for name, value in row["metrics"].items():
            assert other["metrics"][name] == pytest.approx(value, **nearness(name))
    assert max(row["step"] for row, _ in pairs) >= 50


def train_workers(data_root: Path) -> list[int]:
    """Process ids of this session's train workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            mine = str(data_root).encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if mine and re.match(rb"ray::\S*RayTrainWorker", title):
            found.append(int(folder.name))
    return found


@pytest.mark.faults
def test_one_of_two_workers_killed_is_replaced_and_the_run_is_the_one_that_was_not_killed(
    by_two: RunRecord, data_root: Path, tmp_path: Path, data: TrainingData, gates: Gates
):
    whole, killed = by_two, record_in(tmp_path / "killed", by_two.recipe)
    victims: list[int] = []

    def kill() -> None:
        gates.wait_for("small-seed0", processes=2)
        victims.extend(train_workers(data_root))
        os.kill(victims[-1], signal.SIGKILL)
        gates.let_go("small-seed0")

    gates.hold("small-seed0", step=40)
    killer = threading.Thread(target=kill)
    killer.start()
    result = run_training(killed, TWO, data, [])
    killer.join()
    starts = [
        json.loads(line)["step"]
        for line in (killed.folder / "ledger.jsonl").read_text().splitlines()
        if json.loads(line)["event"] == "start"
    ]
    assert len(victims) == 2
    assert len(starts) == 2
    assert starts[1] >= 36
    assert result.status == "finished"
    assert rows_of(killed.folder) == rows_of(whole.folder)
    first, second = weights(whole.folder), weights(killed.folder)
    assert all((first[name] == second[name]).all() for name in first)


def casas_ray(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_study_through_tune_gives_what_the_debug_seat_gives(dashboard: str, study: Path):
    tuned = casas_ray("tune", study, "--no-wandb", "--json", "--fresh")
    here = casas_ray("tune", study, "--no-wandb", "--json", "--machine", "debug", "--fresh")
    assert tuned.returncode == here.returncode == 5, tuned.stderr + here.stderr
    assert "2 of 4 trials did not finish: 2 diverged" in tuned.stderr
    assert "[4/4]" in tuned.stderr
    folders = [Path(json.loads(ended.stdout)["folder"]) for ended in (tuned, here)]
    for name in ("base-seed0", "base-seed1", "learning_rate=1e30-seed0"):
        assert rows_of(folders[0] / name)
        assert rows_of(folders[0] / name) == rows_of(folders[1] / name)
    assert_tune_shows_the_same(folders[0])


def assert_tune_shows_the_same(study: Path) -> None:
    """What Ray Tune itself says of its trials is what their ledgers say."""
    grid = ResultGrid(ExperimentAnalysis(str(study / ".ray" / "ray")))
    shown = {result.config["index"]: result for result in grid if result.config}
    runs = [RunResult.read(study / name) for _, _, name in read_study(study).trials]
    for index, run in enumerate(runs):
        result = shown[index]
        assert result.metrics is not None
        assert result.metrics["status"] == run.status
        assert run.best().items() <= result.metrics.items()
        if run.status == "finished":
            assert result.checkpoint is not None
            best = checkpoints.best(run.folder)
            assert Path(result.metrics["checkpoint"]) == Path(result.checkpoint.path) == best
    found = grid.get_best_result("val/recall_mean", "max").metrics
    finished = [run for run in runs if run.status == "finished"]
    assert found is not None
    assert found["val/recall_mean"] == max(run.best()["val/recall_mean"] for run in finished)


def test_ctrl_c_ends_a_study_with_130_and_the_same_command_goes_on(
    dashboard: str, study: Path, gates: Gates
):
    stopped_study = study.with_name("stopped_study.py")
    stopped_study.write_text(study.read_text().replace("seeds=(0, 1)", "seeds=(0, 1, 2)"))
    command = [sys.executable, "-m", "casas_ray", "tune", str(stopped_study), "--no-wandb"]
    gates.hold("small-seed1", step=0)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("[2/"))
    gates.wait_for("small-seed1", driver=process)
    process.send_signal(signal.SIGINT)
    gates.let_go_when_asked("small-seed1")
    _, rest = process.communicate(timeout=LONG)
    gates.let_go("small-seed1")
    assert process.returncode == 130
    assert "interrupted" in rest
    again = casas_ray("tune", stopped_study, "--no-wandb")
    assert again.returncode == 5
    # The one that diverges may do so in its very first step, before it hears that it is to stop.
    assert re.search(r"[23] of 6 trials ended before; they stand", again.stderr)
    assert "3 of 6 trials did not finish: 3 diverged" in again.stderr


def test_ctrl_c_ends_a_trainer_with_130_and_the_same_command_goes_on(
    dashboard: str, tmp_path: Path, text_model: str, gates: Gates
):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "optim.epochs=10"]
    words += ["--no-wandb", "--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "casas_ray", *words]
    gates.hold("milan_baseline-seed0", step=36)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    gates.wait_for("milan_baseline-seed0", driver=process)
    process.send_signal(signal.SIGINT)
    gates.let_go_when_asked("milan_baseline-seed0")
    _, err = process.communicate(timeout=LONG)
    gates.let_go("milan_baseline-seed0")
    assert process.returncode == 130
    assert "interrupted" in err
    assert RunResult.read(tmp_path / "out").status == "stopped"
    assert casas_ray(*words).returncode == 0
    assert RunResult.read(tmp_path / "out").step == 10 * 18


def test_trials_of_two_workers_run_in_trainers_of_their_own(dashboard: str, study: Path):
    one_seed = study.with_name("one_seed.py")
    one_seed.write_text(study.read_text().replace("seeds=(0, 1)", "seeds=(0,)"))
    ended = casas_ray("tune", one_seed, "--no-wandb", "machine.workers=2", "--json")
    assert ended.returncode == 5, ended.stderr
    table = json.loads(ended.stdout)
    assert [row["statuses"] for row in table["arms"]] == [{"finished": 1}, {"diverged": 1}]
    assert RunResult.read(Path(table["folder"]) / "base-seed0").info["workers"] == 2


def test_more_workers_than_the_cluster_holds_are_refused_at_once(dashboard: str, study: Path):
    ended = casas_ray("tune", study, "--fresh", "--no-wandb", "machine.workers=16")
    assert ended.returncode == 7
    assert "16 worker(s) want 16 CPU; the cluster has 2" in ended.stderr


def test_a_job_is_followed_and_its_exit_code_comes_back(dashboard: str):
    planned = casas_ray("submit", "--dashboard", dashboard, "--", "plan", "milan_ablation_mlm")
    assert planned.returncode == 0, planned.stderr
    assert "5 arms x 6 seeds = 30 trials" in planned.stdout
    missing = casas_ray(
        "submit", "--dashboard", dashboard, "--", "tune", "milan_ablation_mlm", "data.homes=cairo"
    )
    assert missing.returncode == 4, missing.stdout
    assert "on this cluster no log of home 'cairo' is at hand" in missing.stdout


def test_workers_and_jobs_know_the_commit_of_the_folder_where_the_command_ran(
    dashboard: str, by_two: RunRecord, text_model: str, tmp_path: Path
):
    here = code_state()
    assert here["git_commit"] != UNKNOWN
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    words += ["--no-wandb", "--output-dir", str(tmp_path / "out")]
    ended = casas_ray("submit", "--dashboard", dashboard, "--", *words)
    assert ended.returncode == 0, ended.stdout
    for run in (by_two.folder, tmp_path / "out"):
        info = RunResult.read(run).info
        assert {name: info[name] for name in here} == here


def test_the_doctor_tells_each_check_on_a_line_and_a_fault_is_exit_4(
    dashboard: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))  # where nobody ever logged in
    names = ["python", "packages", "torch", "memory", "storage", "text model", "homes", "ray"]
    names += ["ports", "wandb key"]
    well = casas_ray("doctor")
    assert well.returncode == 0, well.stdout + well.stderr
    lines = [line for line in well.stdout.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert [row[0] for row in cells if row[0]] == names
    assert {row[1] for row in cells if row[0]} <= {"good", "odd"}
    assert next(row for row in cells if row[0] == "ray")[2].startswith("starts; 2 CPUs")
    told = casas_ray("doctor", "--json")
    assert told.returncode == 0
    assert [check["name"] for check in json.loads(told.stdout)] == names
    monkeypatch.setenv("WANDB_API_KEY", "canary")
    for words in ((), ("--json",)):
        ill = casas_ray("doctor", *words)
        assert ill.returncode == 4
        assert "1 of 10 checks failed: wandb key." in ill.stderr
        assert "hint: wandb login" in ill.stderr
        assert "canary" not in ill.stdout + ill.stderr
    states = {check["name"]: check["state"] for check in json.loads(ill.stdout)}
    assert [name for name, state in states.items() if state == "missing"] == ["wandb key"]


@pytest.mark.faults
def test_a_job_that_is_stopped_ends_with_143_and_a_checkpoint(
    dashboard: str, tmp_path: Path, text_model: str, gates: Gates
):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "--no-wandb"]
    words += ["--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "casas_ray", "submit", "--dashboard", dashboard, "--", *words]
    gates.hold("milan_baseline-seed0", step=5)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    job = next(line for line in process.stdout if line.startswith("job ")).split()[1]
    gates.wait_for("milan_baseline-seed0", driver=process)
    words = [sys.executable, "-m", "casas_ray", "stop", job, "--dashboard", dashboard]
    stopping = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    gates.let_go_when_asked("milan_baseline-seed0")
    told, err = stopping.communicate(timeout=LONG)
    assert stopping.returncode == 0, err
    assert f"job {job} was stopped after" in told
    assert "it said last: casas-ray: told to end; what was done stands" in told
    said, _ = process.communicate(timeout=LONG)
    gates.let_go("milan_baseline-seed0")
    assert process.returncode == 143, said
    assert "told to end" in said
    result = RunResult.read(tmp_path / "out")
    assert (result.status, result.error) == ("stopped", "asked to stop")
    assert (tmp_path / "out" / "checkpoints" / f"step-{result.step:08d}").is_dir()


def test_a_cluster_that_does_not_answer_is_exit_7():
    (port,) = free_ports(1)
    ended = casas_ray("submit", "--dashboard", f"http://127.0.0.1:{port}", "--", "plan", "x")
    assert ended.returncode == 7
    assert f"no Ray dashboard answers at machine.dashboard=http://127.0.0.1:{port}" in ended.stderr


def test_actors_give_the_vectors_that_this_process_gives(dashboard: str, text_model: str):
    from casas_ray.config import TextConfig
    from casas_ray.model.caption_vectors import caption_vectors
    from casas_ray.run.caption_actors import with_actors
    from casas_ray.run.session import session

    captions = [f"caption {number} of many" for number in range(2500)]
    machine = Machine(workers=1, cpus_per_worker=1)
    here = caption_vectors(captions, TextConfig(model=text_model, max_tokens=40))
    config = TextConfig(model=text_model, max_tokens=41)
    calls: list[int] = []
    with session(machine):
        there = caption_vectors(
            captions,
            config,
            progress=lambda done, total: calls.append(done),
            encode=with_actors(config, machine),
        )
    assert calls in ([0, 2048, 2500], [0, 452, 2500])  # parts end in any order
    np.testing.assert_allclose(there, here, atol=1e-6)


@pytest.mark.faults
def test_a_run_of_one_worker_killed_and_taken_up_by_two_has_the_same_losses(
    dashboard: str,
    whole_run: Path,
    small_recipe: Recipe,
    data: TrainingData,
    tmp_path: Path,
):
    job = record_in(tmp_path / "run", small_recipe)
    shutil.copytree(whole_run, job.folder)
    (newest,) = (job.folder / "checkpoints").glob("step-00000036")
    shutil.rmtree(newest)  # as if it had been killed after its first epoch
    ledger = job.folder / "ledger.jsonl"
    rows = ledger.read_text().splitlines()
    ledger.write_text("\n".join(row for row in rows if json.loads(row)["step"] <= 20) + "\n")
    result = run_training(job, TWO, data, [])
    assert result.status == "finished"
    wanted = RunResult.read(whole_run)
    assert result.metrics_at(36, "val/total_loss") == pytest.approx(
        wanted.metrics_at(36, "val/total_loss"), rel=1e-5
    )
