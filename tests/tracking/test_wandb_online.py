"""W&B online, against a server of this machine: what arrives, how often, and what happens when the
server refuses, stalls, is busy or dies."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gate import Gates
from support.recipes import WORDS_WITHOUT_DATA
from support.waiting import LONG, wait_until
from support.wandb_file import history, run_file
from support.wandb_server import ENTITY, KEY, TEAM, WandbServer, serving

from casas_ray.cli.entry import run as run_words
from casas_ray.config import Recipe, Tracking
from casas_ray.files import mark
from casas_ray.records.lock import locked
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult

pytestmark = pytest.mark.slow
DATA = ["data.simulated=true", "data.simulate.days=3", "data.captions.per_window=2"]


SECRET = {"MY_SECRET": "canary-in-the-environment"}


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as made:
        yield made


def environment(server: WandbServer, **more: str) -> dict[str, str]:
    """The caller's, with the server and a key; not the W&B service of this process."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name != "WANDB_MODE" and "WANDB_SERVICE" not in name
    }
    return {**own, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, **SECRET, **more}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "casas_ray", *(str(word) for word in words)]


def training(run: Path, text_model: str, *more: str) -> list[str]:
    words = ["train", "milan_tiny", *WORDS_WITHOUT_DATA, *DATA, f"text.model={text_model}"]
    words += ["--machine", "debug", "--output-dir", run, "tracking.log_every=6", *more]
    return command(*words)


def done(words: list[str], server: WandbServer, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=environment(server, **more), capture_output=True, text=True, timeout=2 * LONG
    )


def ledger_keys(run: Path) -> set[tuple[int, str]]:
    return {
        (row["step"], name)
        for row in RunResult.read(run).rows
        if row["event"] == "metrics"
        for name in row["metrics"]
    }


def sent_keys(server: WandbServer, run: str) -> list[tuple[int, str]]:
    views = ("train", "val", "system")
    return [
        (row["global_step"], name)
        for row in server.history(run)
        for name in row
        if name.partition("/")[0] in views
    ]


def the_training(server: WandbServer) -> str:
    (name,) = [name for name, held in server.runs.items() if held.get("jobType") == "train"]
    return name


def has_rows(server: WandbServer) -> bool:
    return any(held["history"] for held in list(server.runs.values()))


@pytest.fixture(scope="module")
def online(
    tmp_path_factory: pytest.TempPathFactory, text_model: str
) -> Iterator[tuple[WandbServer, Path]]:
    """A server that heard of one training with everything asked for, and its run."""
    run = tmp_path_factory.mktemp("online") / "run"
    with serving() as server:
        asked = ["tracking.log_model=true", "tracking.log_graph=true", "tracking.watch_every=12"]
        words = training(run, text_model, *asked, "--wandb-notes", "why", "--wandb-tags", "a,b")
        ended = done([*words, "--wandb-group", "mine"], server)
        assert ended.returncode == 0, ended.stderr
        assert "training goes on without" not in ended.stderr
        assert "offline" not in ended.stderr
        yield server, run


def test_every_row_arrives_once(online: tuple[WandbServer, Path]):
    server, run = online
    assert_all_sent_once(server, run)
    held = server.runs[the_training(server)]
    assert held["exit_code"] == 0
    assert held["summary"]["training/status"] == "finished"
    assert (held["notes"], held["groupName"]) == ("why", "mine")
    assert {"milan", "seed:0", "a", "b", "SIMULATED"} <= set(held["tags"])
    best = max(
        row["val/recall_mean"]
        for row in server.history(the_training(server))
        if "val/mlm_loss" in row
    )
    assert held["summary"]["val/recall_mean"]["max"] == pytest.approx(best)


def test_the_model_its_parts_and_the_code_arrive_as_asked(online: tuple[WandbServer, Path]):
    server, _ = online
    assert {made["type"] for made in server.artifacts} == {"model", "code"}
    (name,) = [name for name in server.files if name.endswith(".graph.json")]
    nodes = json.loads(server.files[name])["nodes"]
    kinds = {node["name"]: node["class_name"] for node in nodes}
    assert kinds["encoder.blocks.0.qkv"] == "Linear"
    assert kinds["encoder.embedding"] == "EventEmbedding"
    shapes = {node["name"]: dict(node["parameters"]) for node in nodes}
    assert list(shapes["encoder.blocks.0.up"]["weight"]) == [64, 32]


OWN_SUMMARY = ("_wandb", "_step", "_runtime", "_timestamp")


def assert_audited(server: WandbServer, folder: str | Path) -> None:
    """What `audit` shows of a run or a study is, key by key, what the server received."""
    ended = done(command("audit", folder, "--json"), server)
    told = json.loads(ended.stdout)
    shown = {one["id"]: one for one in told["runs"]}
    assert shown.keys() == server.runs.keys()
    for name, held in server.runs.items():
        audited = shown[name]
        assert audited["name"] == held["displayName"]
        assert audited["project"] == held["project"]
        assert (audited["entity"] or ENTITY) == held["entity"]  # None: the key's own
        assert audited["group"] == held.get("groupName", "")
        assert audited["job_type"] == held["jobType"]
        assert audited["tags"] == held["tags"]
        assert audited["notes"] == (held.get("notes") or "")
        config = {key: one["value"] for key, one in json.loads(held["config"]).items()}
        config.pop("_wandb")
        assert audited["config"] == config
        received = {key for row in server.history(name) for key in row}
        assert set(audited["history"]) == {key.removesuffix("_table") for key in received}
        logged = set(audited["history"]) | {f"{key}_table" for key in audited["history"]}
        summary = set(held["summary"]) - set(OWN_SUMMARY) - logged
        assert summary == set(audited["summary"])
    files = {(kind, name) for one in shown.values() for kind, name in one["files"].items()}
    kinds = sorted(kind for one in shown.values() for kind in one["files"])
    # A table goes as a file too, which W&B makes an artifact of.
    sent = [made["type"] for made in server.artifacts if made["type"] != "run_table"]
    assert kinds == sorted(sent)
    for kind, text in files:
        name, _, size = text.partition(", ")
        (sent,) = [body for path, body in server.files.items() if path.endswith(f"/{name}")]
        assert size == f"{len(sent):,} bytes", kind
    described = [*told["name, group, tags and notes"], *told["project and entity"]]
    for held in server.runs.values():
        assert {held["displayName"], held["project"], *held["tags"]} <= set(described)
        assert set(json.loads(held["config"])) - {"_wandb"} <= set(told["settings and facts"])


def assert_private(server: WandbServer, run: Path) -> None:
    """Of all that the server heard, nothing names this machine, its folders or the data.

    Weights and code, which a user can ask for, are left out of the search.
    """
    heard = b"".join(body for body in server.received if not body.startswith(b"/upload/"))
    texts = [name for name in server.files if not name.endswith((".zip", ".safetensors"))]
    heard += b"".join(server.files[name] for name in texts)
    for secret in (
        f'"{socket.gethostname()}"',
        str(run.parent),
        str(Path(sys.executable).parent),
        str(Path(__file__).parents[2]),
        "M021",
        "master_bedroom",
        "canary-in-the-environment",
    ):
        assert secret.encode() not in heard, secret


def test_nothing_of_this_machine_or_the_data_arrives(online: tuple[WandbServer, Path]):
    server, run = online
    assert any(b"val/recall_mean" in body for body in server.received)
    assert_private(server, run)


def test_an_evaluation_is_a_run_of_its_own_and_a_sync_changes_nothing(
    online: tuple[WandbServer, Path],
):
    server, run = online
    before = server.history(the_training(server))
    assert done(command("evaluate", run), server).returncode == 0
    (verdict,) = [held for held in server.runs.values() if held.get("jobType") == "eval"]
    assert verdict["displayName"].endswith("test days")
    (row,) = verdict["history"].values()
    assert (
        row["test/recall_mean"]
        == json.loads((run / "test.json").read_text())["trained"]["test/recall_mean"]
    )
    assert_audited(server, run)
    ended = done(command("sync", run), server)
    assert ended.stdout.strip().endswith("W&B has all of it"), ended.stdout + ended.stderr
    assert server.history(the_training(server)) == before
    assert len([held for held in server.runs.values() if held.get("jobType") == "eval"]) == 1


def test_a_study_is_a_run_a_trial_and_a_summary_and_a_sync_doubles_nothing(
    server: WandbServer, study: Path
):
    ended = done(command("tune", study, "--machine", "debug", "--json", "--fresh"), server)
    assert ended.returncode == 5, ended.stderr  # one of its arms must diverge
    kinds = {name: (held["jobType"], held["groupName"]) for name, held in server.runs.items()}
    assert sorted(kinds.values()) == [("tune", "small_study")] * 5
    names = {held["displayName"]: name for name, held in server.runs.items()}
    trials = {name for name in names if name != "SIMULATED small_study summary"}
    assert trials == {
        f"SIMULATED small_study/{arm}-seed{seed}"
        for arm in ("base", "learning_rate=1e30")
        for seed in (0, 1)
    }
    held = server.runs[names["SIMULATED small_study/base-seed1"]]
    assert {"milan", "seed:1", "small_study", "base", "SIMULATED"} <= set(held["tags"])
    diverged = server.runs[names["SIMULATED small_study/learning_rate=1e30-seed0"]]
    assert diverged["summary"]["training/status"] == "diverged"
    assert_audited(server, json.loads(ended.stdout)["folder"])
    (row,) = server.history(names["SIMULATED small_study summary"])
    assert row["comparison"]["nrows"] == 4  # two arms, the untrained and chance
    assert row["recall_mean by arm_table"]["nrows"] == 4
    before = {name: server.history(name) for name in server.runs}
    folder = json.loads(ended.stdout)["folder"]
    assert done(command("sync", folder), server).stdout.count("W&B has all of it") == 4
    assert {name: server.history(name) for name in server.runs} == before
    assert_private(server, Path(folder))


COMPARISON = """
import sys
from pathlib import Path
from casas_ray.config import Tracking
from casas_ray.records.study_record import StudyRecord
from casas_ray.tracking.outgoing import Summary
from casas_ray.tracking.side_runs import send_summary
rows = [["arm", "val/recall_mean mean"], ["base", 0.5]]
study = StudyRecord(Path(sys.argv[1]), "x", "", ("milan",), True, (), ())
send_summary(Summary(study, rows, {"base": [(0, float(sys.argv[2]))]}), Tracking())
"""


def test_a_comparison_is_sent_once_and_again_when_only_a_curve_has_moved(
    server: WandbServer, tmp_path: Path
):
    def rows_after(value: float) -> int:
        words = [sys.executable, "-c", COMPARISON, str(tmp_path), str(value)]
        ended = done(words, server)
        assert ended.returncode == 0, ended.stderr
        (name,) = server.runs
        return len(server.history(name))

    assert [rows_after(value) for value in (0.1, 0.1, 0.2)] == [1, 1, 2]


def test_a_run_that_still_trains_is_not_synced(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    RunRecord("x", tmp_path / "run", Recipe(), Tracking()).write()
    with locked(tmp_path / "run"):  # as whoever trains holds it
        assert run_words(["sync", str(tmp_path / "run")], debug=False) == 8
    assert "another casas-ray is at work in" in capsys.readouterr().err


def test_a_driver_killed_at_once_and_started_again_leaves_each_row_once(
    server: WandbServer, tmp_path: Path, text_model: str, gates: Gates
):
    words = training(tmp_path / "run", text_model, "optim.epochs=24")
    gates.hold("milan_tiny-seed0", step=60)
    held = environment(server, **gates.environment())
    killed = subprocess.Popen(words, env=held, stderr=subprocess.DEVNULL)
    gates.wait_for("milan_tiny-seed0", driver=killed)
    wait_until(lambda: has_rows(server), process=killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    gates.let_go("milan_tiny-seed0")
    assert done(words, server).returncode == 0
    assert_all_sent_once(server, tmp_path / "run")


def finishes_in_time(
    server: WandbServer, run: Path, text_model: str, *more: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """A training that W&B troubles ends as ever, long before W&B would have answered."""
    ended = done(training(run, text_model, *more), server, **env)  # which gives up after LONG
    assert ended.returncode == 0, ended.stderr
    assert RunResult.read(run).status == "finished"
    return ended


def warnings_of(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ended.stderr.splitlines() if "W&B" in line or "WandbMirror" in line]


def test_a_server_that_never_answers_delays_no_training(
    server: WandbServer, tmp_path: Path, text_model: str
):
    server.stall = lambda path: 600.0
    ended = finishes_in_time(server, tmp_path / "run", text_model)
    assert_kept_offline(ended, tmp_path / "run")
    assert_private(server, tmp_path / "run")


def assert_kept_offline(ended: subprocess.CompletedProcess[str], run: Path) -> None:
    (warning,) = warnings_of(ended)
    assert "kept offline" in warning
    rows = history(run_file(run))
    assert {(row["global_step"], name) for row in rows for name in row if name in VIEWED} == {
        (step, name) for step, name in ledger_keys(run) if name in VIEWED
    }


VIEWED = ("train/total_loss", "val/recall_mean")

LEDGER = """
import logging, sys
from pathlib import Path
from casas_ray.config import Recipe, Tracking
from casas_ray.records.ledger import Ledger
from casas_ray.records.follow import Follower
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.wandb_mirror import WandbMirror
logging.basicConfig(format="%(message)s")
entity, rows, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
folders = [Path(word) for word in sys.argv[4:]]
tracking = Tracking(mode=mode, entity=entity)
records = [RunRecord(folder.name, folder, Recipe(), tracking) for folder in folders]
for record in records:
    record.write()
ledgers = [Ledger(folder) for folder in folders]
with Follower(folders, [WandbMirror(records)]):
    for ledger in ledgers:
        ledger.append("start", 0, info={"total_steps": 1})
    for step in range(rows):
        for ledger in ledgers:
            ledger.append("metrics", step, metrics={"train/total_loss": 1.0 / (1 + step)})
    for ledger in ledgers:
        ledger.append("end", 1, status="finished")
"""
"""A driver whose training has only a ledger: what W&B does to it needs no weights."""


def mirrored(
    server: WandbServer,
    *runs: Path,
    entity: str = "",
    rows: int = 9,
    mode: str = "auto",
    **env: str,
) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", LEDGER, entity, rows, mode, *runs]
    ended = done([str(word) for word in words], server, **env)
    assert ended.returncode == 0, ended.stderr
    assert [RunResult.read(run).rows[-1]["status"] for run in runs] == ["finished"] * len(runs)
    return ended


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_server_that_refuses_leaves_the_run_offline_with_one_warning(
    status: int, server: WandbServer, tmp_path: Path
):
    server.refuse = lambda path: status
    assert_kept_offline(mirrored(server, tmp_path / "run"), tmp_path / "run")
    assert_private(server, tmp_path / "run")


def test_a_team_that_is_not_yours_leaves_the_run_offline_with_one_warning(
    server: WandbServer, tmp_path: Path
):
    assert_kept_offline(mirrored(server, tmp_path / "run", entity="another"), tmp_path / "run")
    assert_private(server, tmp_path / "run")
    assert warnings_of(mirrored(server, tmp_path / "mine", entity=TEAM)) == []


def test_a_run_that_was_kept_offline_is_sent_whole_later(server: WandbServer, tmp_path: Path):
    run = tmp_path / "run"
    mirrored(server, run, rows=40, mode="offline")
    assert server.runs == {}
    ended = done(command("sync", run), server)
    assert ended.stdout.strip().endswith("W&B has all of it"), ended.stderr
    assert_all_sent_once(server, run)
    assert not list((run / "wandb").glob("offline-run-*"))


def test_a_host_that_nobody_answers_at_leaves_the_run_offline_with_one_warning(
    server: WandbServer, tmp_path: Path
):
    nobody = {"WANDB_BASE_URL": "http://127.0.0.1:9"}
    assert_kept_offline(mirrored(server, tmp_path / "run", **nobody), tmp_path / "run")


def test_a_full_disk_under_wandb_is_told_and_leaves_the_ledger_whole(
    server: WandbServer, tmp_path: Path
):
    small = tmp_path / "run" / "wandb"
    small.mkdir(parents=True)
    mark(tmp_path / "run")  # as a run's folder is before W&B has one in it
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can make a small disk here")
    try:
        ended = mirrored(server, tmp_path / "run", rows=3000, mode="offline")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    (warning,) = warnings_of(ended)
    assert "is full: W&B's copy is not whole" in warning
    assert len(ledger_keys(tmp_path / "run")) == 3000


def test_a_busy_server_gets_every_row_in_the_end(server: WandbServer, tmp_path: Path):
    def busy(path: str) -> int:
        return 429 if path.endswith("/file_stream") and server.refused < 2 else 0

    server.refuse = busy
    ended = mirrored(server, tmp_path / "run")
    assert server.refused == 2
    assert warnings_of(ended) == []
    assert_all_sent_once(server, tmp_path / "run")


def assert_all_sent_once(server: WandbServer, run: Path) -> None:
    sent = sent_keys(server, the_training(server))
    assert len(sent) == len(set(sent))
    assert set(sent) == ledger_keys(run)


def test_a_host_that_dies_mid_run_holds_nobody_up_and_a_sync_heals_it(
    server: WandbServer, tmp_path: Path
):
    runs = [tmp_path / f"run{place}" for place in range(4)]

    def dead(path: str) -> int:
        heard = sum(b"/file_stream" in body.split(b" ", 1)[0] for body in server.received)
        return 503 if len(server.runs) == len(runs) and heard > len(runs) else 0

    server.refuse = dead
    ended = mirrored(server, *runs, rows=200)
    assert server.refused > 0
    (warning,) = warnings_of(ended)
    assert "W&B stopped answering and has not all of run" in warning
    ids = {held["displayName"]: name for name, held in server.runs.items()}
    behind = [run for run in runs if set(sent_keys(server, ids[run.name])) != ledger_keys(run)]
    assert behind
    server.refuse = lambda path: 0
    assert done(command("sync", behind[0]), server).stdout.strip().endswith("W&B has all of it")
    sent = sent_keys(server, ids[behind[0].name])
    assert len(sent) == len(set(sent))
    assert set(sent) == ledger_keys(behind[0])


def test_the_doctor_tells_a_wrong_key_from_a_team_that_is_not_yours(server: WandbServer):
    code = "import sys, json, dataclasses; from casas_ray.run.doctor import _wandb; "
    code += "from casas_ray.config import Tracking; told = Tracking(entity=sys.argv[1]); "
    code += "print(json.dumps([dataclasses.asdict(one) for one in _wandb(told)]))"

    def found(entity: str = "", **more: str) -> dict[str, dict]:
        ended = done([sys.executable, "-c", code, entity], server, **more)
        assert ended.returncode == 0, ended.stderr
        return {one["name"]: one for one in json.loads(ended.stdout.splitlines()[-1])}

    assert found()["wandb team"]["state"] == "good"
    assert found(TEAM)["wandb team"]["state"] == "good"
    other = found(WANDB_ENTITY="another-team")["wandb team"]
    assert (other["state"], other["found"]) == ("missing", "you are no member of 'another-team'")
    server.refuse = lambda path: 401
    wrong = found()["wandb key"]
    assert (wrong["state"], "wandb login" in wrong["fix"]) == ("missing", True)
    assert_private(server, Path(__file__))


def test_an_address_that_is_none_keeps_an_offline_copy_with_one_warning(
    server: WandbServer, tmp_path: Path
):
    for name, value in (("notaurl", "notaurl"), ("port", "http://127.0.0.1:99999999")):
        run = tmp_path / name
        assert_kept_offline(mirrored(server, run, WANDB_BASE_URL=value), run)
    ended = done(command("sync", tmp_path / "port"), server, WANDB_BASE_URL="notaurl")
    assert ended.returncode == 0
    assert "made anew offline" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert server.runs == {}


@pytest.mark.parametrize("variable", ["WANDB_HTTP_TIMEOUT", "WANDB_TAGS", "WANDB_PROJECT"])
def test_a_variable_that_wandb_refuses_is_named_and_loses_no_run(
    server: WandbServer, tmp_path: Path, variable: str
):
    ended = mirrored(server, tmp_path / "run", **{variable: "/" * 70})
    (warning,) = warnings_of(ended)
    assert f"the value of {variable}, which is not heeded" in warning
    assert_all_sent_once(server, tmp_path / "run")


def test_a_key_that_is_none_keeps_an_offline_copy_with_one_warning(
    server: WandbServer, tmp_path: Path
):
    ended = mirrored(server, tmp_path / "run", WANDB_API_KEY="canary")
    assert "canary" not in ended.stderr
    (warning,) = [line for line in ended.stderr.splitlines() if "offline" in line]
    assert "WANDB_API_KEY invalid" in warning
    assert history(run_file(tmp_path / "run"))
    assert server.runs == {}


def test_names_of_the_environment_are_not_sent_behind_the_audits_back(
    server: WandbServer, tmp_path: Path
):
    theirs = {"WANDB_NOTES": "canary-notes", "WANDB_RUN_GROUP": "canary-group"}
    theirs |= {"WANDB_NAME": "canary-name", "WANDB_TAGS": "canary-tag"}
    mirrored(server, tmp_path / "run", **theirs)
    assert_audited(server, tmp_path / "run")
    assert not [body for body in server.received if b"canary-" in body and KEY not in str(body)]


def test_a_study_whose_arms_have_long_names_reaches_wandb_whole(
    server: WandbServer, tmp_path: Path
):
    words = [sys.executable, "-c", LONG_NAMES, str(tmp_path)]
    ended = done(words, server)
    assert ended.returncode == 0, ended.stderr
    assert warnings_of(ended) == []
    assert len(server.runs) == 3
    assert all(len(tag) <= 64 for held in server.runs.values() for tag in held["tags"])
    assert all(len(held["displayName"]) <= 128 for held in server.runs.values())
    assert all(held["history"] for held in server.runs.values())
    for run in sorted(tmp_path.glob("*/")):
        synced = done(command("sync", run), server)
        assert (synced.returncode, "Traceback" in synced.stderr) == (0, False), synced.stderr


LONG_NAMES = """
import logging, sys
from pathlib import Path
from casas_ray.config import Recipe, Tracking
from casas_ray.records.ledger import Ledger
from casas_ray.records.follow import Follower
from casas_ray.records.run_record import RunRecord
from casas_ray.tracking.wandb_mirror import WandbMirror
logging.basicConfig(format="%(message)s")
arms = ["base", "temperature_init=0.05+temperature_learnable=False+mean_span=2.0+share=0.15", "x"]
records = [
    RunRecord(f"{'question' * 15}/{arm}", Path(sys.argv[1]) / f"run{place}", Recipe(), Tracking(),
        group="question" * 20, arm=arm)
    for place, arm in enumerate(arms)
]
for record in records:
    record.write()
    ledger = Ledger(record.folder)
    ledger.append("start", 0, info={"total_steps": 1})
    ledger.append("metrics", 1, metrics={"train/total_loss": 1.0})
    ledger.append("end", 1, status="finished")
with Follower([record.folder for record in records], [WandbMirror(records)]):
    pass
"""
