"""Faults of a cluster whose nodes share no disk: what a lost process or node trained goes on
elsewhere from the study's store, and comes out the same."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Commands
from support.gate import Gates
from support.nodes import Nodes, name_of
from support.processes import running
from support.tables import assert_same_study, starts_of
from support.waiting import LONG, wait_until

from casas_ray.records.run_result import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.faults]
BOTH = "small-seed0"
STEPS_OF_AN_EPOCH = 18
HELD = 20
"""The step in which they are held; asked to stop, a training stops after it."""

Tune = Callable[..., tuple[Path, list[object]]]


@pytest.fixture
def tune(nodes: Nodes, small_study: Path, tmp_path: Path, fault_gates: Gates) -> Tune:
    """A study's folder, and the words that train it on the cluster, which has two nodes for it."""
    nodes.make_up(2)

    def of(*more: object) -> tuple[Path, list[object]]:
        folder = tmp_path / "study"
        line: list[object] = ["tune", small_study, "--no-wandb", "--output-dir", folder]
        return folder, [*line, "tracking.log_every=5", f"machine.address={nodes.address}", *more]

    return of


def two_held(
    nodes: Nodes, gates: Gates, process: subprocess.Popen, name: str = BOTH
) -> dict[int, int]:
    """The processes of both trials once they are held, by their nodes."""
    wait_until(lambda: len(gates.held(name)) == 2, process=process, seconds=2 * LONG)
    return {nodes.node_of(pid): pid for pid in gates.held(name)}


def test_a_node_whose_daemon_is_killed_loses_no_trial(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune()
    fault_gates.hold(BOTH, step=HELD)
    process = words.start(*line)
    lost = max(two_held(nodes, fault_gates, process))
    nodes.kill_raylet(lost)
    wait_until(lambda: name_of(lost) not in nodes.alive())
    fault_gates.let_go(BOTH)
    assert words.end(process) == 0, words.err
    assert_same_study(folder, undisturbed)
    assert starts_of(folder) == [0, 0, STEPS_OF_AN_EPOCH]


def test_a_trial_on_a_node_that_is_to_go_leaves_a_checkpoint_and_goes_on_elsewhere(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune()
    fault_gates.hold(BOTH, step=HELD)
    process = words.start(*line)
    leaving = max(two_held(nodes, fault_gates, process))
    nodes.drain(leaving)
    fault_gates.let_go_when_asked(BOTH)
    wait_until(lambda: "stopped" in statuses(folder), process=process)
    nodes.kill(leaving)  # its notice is over
    fault_gates.let_go(BOTH)
    assert words.end(process) == 0, words.err
    assert_same_study(folder, undisturbed, stops=True)
    assert starts_of(folder) == [0, 0, HELD + 1]


def statuses(study: Path) -> set[str]:
    return {RunResult.read(path.parent).status for path in study.glob("*/ledger.jsonl")}


def test_a_study_that_was_told_to_end_goes_on_on_other_nodes(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune()
    fault_gates.hold(BOTH, step=HELD)
    process = words.start(*line)
    used = two_held(nodes, fault_gates, process)
    process.send_signal(signal.SIGTERM)
    fault_gates.let_go_when_asked(BOTH)
    assert words.end(process) == 143, words.err
    fault_gates.let_go(BOTH)
    assert statuses(folder) == {"stopped"}
    for node in used:
        nodes.kill(node)
    nodes.make_up(2)
    assert words.run(*line) == 0, words.err
    assert_same_study(folder, undisturbed, stops=True)
    assert starts_of(folder) == [0, 0, HELD + 1, HELD + 1]


def test_a_worker_killed_while_it_sends_a_checkpoint_goes_on_from_the_one_before(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune()
    fault_gates.hold("sending-base-seed0", step=2 * STEPS_OF_AN_EPOCH)
    process = words.start(*line)
    fault_gates.wait_for("sending-base-seed0", driver=process)
    (sender,) = fault_gates.held("sending-base-seed0")
    drafts = list((folder / "base-seed0" / "checkpoints").glob(".receiving.*"))
    assert len(drafts) == 1
    os.kill(sender, signal.SIGKILL)
    fault_gates.let_go("sending-base-seed0")
    assert words.end(process) == 0, words.err
    assert_same_study(folder, undisturbed)
    assert starts_of(folder) == [0, 0, STEPS_OF_AN_EPOCH]
    assert not list(folder.rglob(".receiving.*"))


def test_a_trial_that_hangs_is_ended_within_the_limit_and_taken_up_again(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune("machine.hang_seconds=20")
    fault_gates.hold(BOTH, step=HELD)
    process = words.start(*line)
    (one, _) = two_held(nodes, fault_gates, process).values()
    os.kill(one, signal.SIGSTOP)
    fault_gates.let_go(BOTH)
    assert words.end(process) == 0, words.err
    assert_same_study(folder, undisturbed)
    assert starts_of(folder) == [0, 0, STEPS_OF_AN_EPOCH]


def test_a_rank_that_hangs_is_named(
    nodes: Nodes, words: Commands, fault_gates: Gates, small_study: Path, tmp_path: Path
):
    line = [
        "tune",
        small_study,
        "--no-wandb",
        "--output-dir",
        tmp_path / "two",
        "machine.workers=2",
    ]
    line += [
        f"machine.address={nodes.address}",
        "machine.hang_seconds=20",
        "machine.max_failures=0",
    ]
    fault_gates.hold(BOTH, step=5, rank=1)
    process = words.start(*line)
    code = words.end(process)
    fault_gates.let_go(BOTH)
    assert code == 6, words.err
    for run in (tmp_path / "two").glob("*/ledger.jsonl"):
        result = RunResult.read(run.parent)
        assert result.status == "failed"
        assert result.error == ("rank 1 of 2 hangs: no step for 20 s (machine.hang_seconds)")


def test_an_elastic_trainer_goes_on_with_fewer_workers_and_the_same_batch(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune("machine.workers=[1,2]", "machine.concurrent_trials=1", "--arms", "base")
    fault_gates.hold(BOTH, step=HELD)
    process = words.start(*line)
    lost = max(two_held(nodes, fault_gates, process))
    nodes.kill(lost)
    fault_gates.let_go(BOTH)
    assert words.end(process) == 0, words.err
    run = RunResult.read(folder / "base-seed0")
    assert [info["workers"] for info in run.infos] == [2, 1]
    wanted = RunResult.read(undisturbed / "base-seed0").metrics_at(36, "val/total_loss")
    assert run.metrics_at(36, "val/total_loss") == pytest.approx(wanted, rel=1e-5)


def test_a_trial_out_of_memory_ends_with_what_to_do_and_the_others_go_on(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, small_study: Path, tmp_path: Path
):
    wide = tmp_path / "wide.py"
    wide.write_text(
        small_study.read_text()
        .replace("STUDY = ", "from casas_ray.study import Arm\nSTUDY = ")
        .replace(
            "each('model.dropout', [0.0])", "[Arm('wide', {'name': 'w', 'model.width': 2048})]"
        )
    )
    folder, (_, _, *more) = tune()
    fault_gates.leave_memory("w-seed0", mib=64)
    assert words.run("tune", wide, *more) == 5, words.err
    assert RunResult.read(folder / "base-seed0").status == "finished"
    ended = RunResult.read(folder / "wide-seed0")
    assert ended.status == "failed"
    assert ended.error.startswith("out of memory with 32 pairs in 1 piece(s), width 2048")
    assert "What helps: raise optim.pieces" in ended.error


def test_a_job_whose_supervisor_is_killed_is_no_success_and_goes_on(
    nodes: Nodes, tune: Tune, words: Commands, fault_gates: Gates, undisturbed: Path
):
    folder, line = tune()
    fault_gates.hold(BOTH, step=HELD)
    process = words.start("submit", "--dashboard", nodes.dashboard, "--", *line)
    two_held(nodes, fault_gates, process)
    for pid in running("casas-ray-gates", "^ray::JobSupervisor"):
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=2 * LONG)
    fault_gates.let_go(BOTH)
    assert process.returncode == 7, words.err + words.out
    wait_until(lambda: not running(str(folder), r"casas_ray tune|ray::ImplicitFunc"))
    assert words.run(*line) == 0, words.err
    assert_same_study(folder, undisturbed)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "canary"}, "token"),
        ({"CASAS_RAY_TEST_RAY_VERSION": "2.59.0"}, "2.59.0"),
    ],
    ids=["another token", "another version of Ray"],
)
def test_a_cluster_that_cannot_be_joined_is_one_line_and_exit_7(
    tune: Tune, words: Commands, environment: dict[str, str], said: str
):
    _, line = tune()
    assert words.run(*line, **environment) == 7
    assert said in words.err
    assert "canary" not in words.err + words.out
    assert "Traceback" not in words.err
    assert len(re.findall("^casas-ray: ", words.err, flags=re.M)) == 1
