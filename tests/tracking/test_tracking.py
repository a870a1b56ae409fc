"""W&B as a view of the ledger, read back from its offline run files."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recipes import WORDS_WITHOUT_DATA
from support.wandb_file import history, run_file, the_run
from support.wandb_file import records as wandb_records

from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.loader import Loader
from casas_ray.records.follow import Follower, Tail
from casas_ray.records.ledger import Ledger
from casas_ray.records.provenance import snapshot
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore
from casas_ray.records.study_record import StudyRecord
from casas_ray.tracking.audit import classes
from casas_ray.tracking.names import fitted, fitted_project, fitted_tags
from casas_ray.tracking.outgoing import Summary, about_run, outgoing_of
from casas_ray.tracking.privacy import sent_config
from casas_ray.tracking.repeats import Repeats
from casas_ray.tracking.side_runs import send_summary
from casas_ray.tracking.tensorboard import FOLDER, TensorBoardMirror, rebuild
from casas_ray.tracking.wandb_mirror import WandbMirror, sync
from casas_ray.training.context import WorkerContext
from casas_ray.training.local import recorder_for
from casas_ray.training.loop import train

MACHINE = Machine(keep_checkpoints=1)


@pytest.fixture
def record(tmp_path: Path, small_recipe: Recipe) -> RunRecord:
    return RunRecord(
        name="question/base-seed0",
        folder=tmp_path / "base-seed0",
        recipe=small_recipe,
        tracking=Tracking(mode="offline", log_every=4, tags=("mine",), notes="why"),
        group="question",
        arm="base",
        caveats=("SIMULATED home",),
        quick=True,
    )


def tracked(record: RunRecord, loader: Loader) -> None:
    with Follower([record.folder], [WandbMirror([record])]):
        train(
            recorder_for(record, MACHINE, WorkerContext(), FolderStore(record.folder)),
            record.recipe,
            loader,
        )


def test_a_run_reaches_wandb_with_every_key_at_its_step_once(
    record: RunRecord, small_loader: Loader
):
    tracked(record, small_loader)
    path = run_file(record.folder)
    rows = [row for row in history(path) if not any("_model/" in name for name in row)]
    ledger = [row for row in RunResult.read(record.folder).rows if row["event"] == "metrics"]
    assert [row.pop("global_step") for row in rows] == [row["step"] for row in ledger]
    assert rows == [row["metrics"] for row in ledger]
    training = next(row for row in rows if "train/total_loss" in row)
    assert set(training) == {
        "train/total_loss",
        "train/clip_loss",
        "train/mlm_loss",
        "train/sensor_to_text_acc",
        "train/text_to_sensor_acc",
        "train/temperature",
        "train/learning_rate",
        "train/epoch",
        "train/gradient_norm",
        "train/samples_per_s",
        "train/data_wait_share",
        "train/clip_contribution",
        "train/mlm_contribution",
        *(f"train/mlm_acc/{field}" for field in small_loader.facts.sizes()),
        "system/host_memory",
        "system/gpu_memory_allocated",
        "system/gpu_memory_cached",
    }
    assert {"val/total_loss", "val/clip_loss", "val/sensor_to_text_acc"} <= set(rows[0])


def test_the_run_says_what_it_is(record: RunRecord, small_loader: Loader):
    tracked(record, small_loader)
    run = the_run(run_file(record.folder))
    assert run.display_name == "SIMULATED question/base-seed0"
    assert (run.project, run.run_group, run.job_type) == ("discover-v2", "question", "tune")
    assert set(run.tags) == {"milan", "seed:0", "mine", "question", "base", "SIMULATED", "quick"}
    assert run.notes == "why"
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["recipe.optim.batch_size"] == 32
    assert config["caveats"] == ["SIMULATED home"]


def test_what_should_stay_home_is_in_no_wandb_file(
    record: RunRecord, small_loader: Loader, small_set: PreparedSet, monkeypatch
):
    monkeypatch.setenv("SOME_SECRET", "canary-in-the-environment")
    tracked(record, small_loader)
    content = b"".join(
        path.read_bytes() for path in (record.folder / "wandb").rglob("*.wandb") if path.is_file()
    )
    files = [path for path in (record.folder / "wandb").rglob("files/*") if path.is_file()]
    content += b"".join(path.read_bytes() for path in files)
    assert b"val/recall_mean" in content
    for secret in (
        "canary-in-the-environment",
        small_set.captions()[0],
        "M021",
        "master_bedroom",
        record.recipe.text.model,
        str(Path.home() / "x")[:-1],
    ):
        assert secret.encode() not in content, secret


def test_only_listed_facts_are_sent():
    info = {
        "home": "milan",
        "hostname": "my-machine",
        "vocabulary": {"sensor": ["M021"]},
        "recipe": {"seed": 1, "text.model": "/home/me/model", "data.captions.file": "/home/me/c"},
    }
    assert sent_config(info) == {"home": "milan", "recipe.seed": 1}


def test_an_audit_speaks_of_the_last_start(record: RunRecord):
    ledger = Ledger(record.folder)
    for info in ({"home": "milan", "hostname": "x"}, {"home": "milan", "workers": 2}):
        ledger.append("start", 0, info=info)
    sent = classes(outgoing_of(record), record.tracking)["settings and facts"]
    assert sent == ["home", "quick", "workers"]


def test_the_group_that_is_asked_for_stands_before_the_studys(record: RunRecord):
    assert about_run(record, {})["group"] == "question"
    asked = dataclasses.replace(record, tracking=record.tracking.replace({"group": "ours"}))
    assert about_run(asked, {})["group"] == "ours"


def test_a_failed_run_is_told_as_failed_without_its_model_and_without_what_is_no_number(
    record: RunRecord, whole_run: Path
):
    shutil.copytree(whole_run, record.folder)  # it had checkpoints before it failed
    tracking = record.tracking.replace({"log_model": True, "code_snapshot": False})
    mirror = WandbMirror([dataclasses.replace(record, tracking=tracking)])
    for event, content in (
        ("start", {"info": {}}),
        ("metrics", {"metrics": {"val/clip_loss": 1.5, "val/total_loss": "inf"}}),
        ("end", {"status": "failed"}),
    ):
        mirror.hear(0, {"event": event, "step": 9, **content})
    mirror.close()
    told = list(wandb_records(run_file(record.folder)))
    assert history(run_file(record.folder)) == [{"val/clip_loss": 1.5, "global_step": 9}]
    kinds = [one.WhichOneof("record_type") for one in told]
    assert "artifact" not in kinds
    assert not any(one.request.HasField("log_artifact") for one in told)
    assert [one.exit.exit_code for one in told if one.WhichOneof("record_type") == "exit"] == [1]


def test_the_best_and_the_final_model_of_one_step_are_no_repetition():
    repeats = Repeats()
    best, final = ({"event": "model", "step": 36, "which": which} for which in ("best", "final"))
    assert [repeats.is_repeated(row) for row in (best, final, best)] == [False, False, True]


def test_a_training_taken_up_again_sends_no_row_twice(record: RunRecord):
    def rows(start: int, steps: list[int]) -> None:
        ledger = Ledger(record.folder)
        ledger.append("start", start, info={"total_steps": 9})
        for step in steps:
            ledger.append("metrics", step, metrics={"train/total_loss": float(step)})

    rows(0, [2, 4, 6])
    with Follower([record.folder], [WandbMirror([record])]):
        pass  # its end is a last look
    rows(4, [6, 8])
    Ledger(record.folder).append("end", 8, status="finished")
    with Follower([record.folder], [WandbMirror([record])]):
        pass  # its end is a last look
    files = sorted(record.folder.glob("wandb/offline-run-*/*.wandb"))
    steps = [row["global_step"] for path in files for row in history(path)]
    assert sorted(steps) == [2, 4, 6, 8]
    assert len({the_run(path).run_id for path in files}) == 1


class Broken:
    """A listener with a network that died."""

    def hear(self, run: int, row: dict) -> None:
        raise ConnectionError("no route to host")

    def close(self) -> None:
        raise ConnectionError("no route to host")


def test_a_listener_that_fails_is_dropped_with_one_warning(tmp_path: Path, caplog):
    ledger = Ledger(tmp_path)
    with caplog.at_level(logging.WARNING), Follower([tmp_path], [Broken()]):
        for step in range(5):
            ledger.append("metrics", step, metrics={})
    assert [record.message for record in caplog.records] == [
        "Broken: no route to host; training goes on without it."
    ]


def test_a_tail_gives_each_whole_line_once(tmp_path: Path):
    tail = Tail(tmp_path)
    assert tail.new_rows() == []
    path = tmp_path / "ledger.jsonl"
    rows = [{"event": "checkpoint", "step": step} for step in (1, 2, 3)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    path.write_bytes(lines[0] + lines[1][:4])
    assert tail.new_rows() == rows[:1]
    with path.open("ab") as stream:
        stream.write(lines[1][4:] + b"broken\n12\n{}\n" + lines[2])
    assert tail.new_rows() == rows[1:]
    assert tail.new_rows() == []


def with_histograms(record: RunRecord) -> RunRecord:
    tracking = record.tracking.replace({"log_gradients": True, "watch_every": 9})
    return dataclasses.replace(record, tracking=tracking)


def test_histograms_and_metadata_of_models_reach_wandb_and_weights_do_not(
    record: RunRecord, small_loader: Loader
):
    record = with_histograms(record)
    tracked(record, small_loader)
    rows = history(run_file(record.folder))
    drawn = [row for row in rows if any(name.startswith("parameters/") for name in row)]
    assert [row["global_step"] for row in drawn] == [9, 18, 27, 36]
    assert drawn[0]["parameters/project_sensor.weight/_type"] == "histogram"
    assert sum(drawn[0]["parameters/project_sensor.weight/values"]) == 32 * 16
    assert any(name.startswith("gradients/") for name in drawn[0])
    told = [row for row in rows if "best_model/step" in row]
    final = [row for row in rows if "final_model/step" in row]
    assert {"local_path", "file_size", "sha256", "val_loss", "time"} <= {
        name.removeprefix("best_model/") for name in told[-1]
    }
    (last,) = final
    assert last["final_model/local_path"] == "checkpoints/step-00000036/weights.safetensors"
    path = record.folder / last["final_model/local_path"]
    assert last["final_model/sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert last["final_model/total_parameters"] >= last["final_model/trainable_parameters"] > 0
    assert not list((record.folder / "wandb").rglob("*.safetensors"))


def test_an_interrupted_offline_run_is_made_anew_and_a_sync_repeats_nothing(
    record: RunRecord, small_loader: Loader
):
    train(
        recorder_for(record, MACHINE, WorkerContext(), FolderStore(record.folder)),
        record.recipe,
        small_loader,
    )
    ledger = Ledger(record.folder)
    mirror = WandbMirror([record])
    for row in RunResult.read(record.folder).rows[:5]:
        mirror.hear(0, row)
    mirror.close()  # as if the driver had been killed here
    first = history(run_file(record.folder))
    assert sync(record) == "offline"
    whole = history(run_file(record.folder))
    assert whole[: len(first)] == first
    assert len(whole) > len(first)
    assert sync(record) == "offline"
    assert history(run_file(record.folder)) == whole
    keys = [(row["global_step"], name) for row in whole for name in row if name != "global_step"]
    assert len(set(keys)) == len(keys)
    wanted = [row for row in RunResult.read(record.folder).rows if row["event"] == "metrics"]
    assert sum(len(row["metrics"]) for row in wanted) == sum(
        1 for _, name in keys if name.partition("/")[0] in ("train", "val", "system")
    )
    assert ledger.path.exists()


def event_records(content: bytes) -> Iterator[bytes]:
    """Length (8 bytes), its checksum (4), the record, its checksum (4)."""
    offset = 0
    while offset < len(content):
        (length,) = struct.unpack("<Q", content[offset : offset + 8])
        yield content[offset + 12 : offset + 12 + length]
        offset += 16 + length


def test_tensorboard_files_hold_the_ledger_once_however_often_they_are_made(
    record: RunRecord, small_loader: Loader
):
    from tensorboardX.proto.event_pb2 import Event

    record = with_histograms(record)
    with Follower([record.folder], [TensorBoardMirror([record])]):
        train(
            recorder_for(record, MACHINE, WorkerContext(), FolderStore(record.folder)),
            record.recipe,
            small_loader,
        )

    def values() -> list[tuple[int, str, float]]:
        (path,) = (record.folder / FOLDER).glob("events.*")
        found = []
        for content in event_records(path.read_bytes()):
            event = Event.FromString(content)
            found += [(event.step, one.tag, one.simple_value) for one in event.summary.value]
        return sorted(found)

    seen = values()
    ledger = {
        (row["step"], name): value
        for row in RunResult.read(record.folder).rows
        if row["event"] == "metrics"
        for name, value in row["metrics"].items()
    }
    ledger = {(step, name.replace("@", "_")): value for (step, name), value in ledger.items()}
    drawn = ("parameters/", "gradients/", "caveats/")
    scalars = {(step, tag): value for step, tag, value in seen if not tag.startswith(drawn)}
    assert scalars.keys() == ledger.keys()
    for key, value in ledger.items():
        assert scalars[key] == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert any(tag.startswith("gradients/") for _, tag, _ in seen)
    rebuild(record)
    assert values() == seen


def test_a_tensorboard_histogram_has_the_edges_and_counts_of_the_ledgers(record: RunRecord):
    from tensorboardX.proto.event_pb2 import Event

    mirror = TensorBoardMirror([record])
    drawn = {"parameters/cls": {"low": 0.0, "high": 4.0, "counts": [1, 3]}}
    mirror.hear(0, {"event": "histograms", "step": 9, "histograms": drawn})
    mirror.close()
    (path,) = (record.folder / FOLDER).glob("events.*")
    events = [Event.FromString(content) for content in event_records(path.read_bytes())]
    values = [one for event in events for one in event.summary.value]
    (found,) = [one.histo for one in values if one.HasField("histo")]
    assert (list(found.bucket_limit), list(found.bucket)) == ([2.0, 4.0], [1.0, 3.0])
    assert (found.min, found.max, found.num, found.sum) == (0.0, 4.0, 4.0, 1.0 + 3 * 3.0)


@pytest.mark.parametrize(
    ("caveats", "quick", "wanted"),
    [(("SIMULATED home",), True, "SIMULATED home, quick"), ((), True, "quick"), ((), False, "")],
)
def test_tensorboard_files_tell_caveats_as_a_text_and_at_each_chart(
    record: RunRecord, caveats: tuple[str, ...], quick: bool, wanted: str
):
    from tensorboardX.proto.event_pb2 import Event

    mirror = TensorBoardMirror([dataclasses.replace(record, caveats=caveats, quick=quick)])
    mirror.hear(0, {"event": "metrics", "step": 9, "metrics": {"val/recall_mean": 0.5}})
    mirror.close()
    (path,) = (record.folder / FOLDER).glob("events.*")
    events = [Event.FromString(content) for content in event_records(path.read_bytes())]
    values = {one.tag: one for event in events for one in event.summary.value}
    assert values["val/recall_mean"].metadata.summary_description == wanted
    texts = {
        tag: one.tensor.string_val[0].decode() for tag, one in values.items() if "/text" in tag
    }
    assert texts == ({"caveats/text_summary": wanted} if wanted else {})


def test_an_audit_lists_what_leaves_by_class_and_what_stays(
    record: RunRecord, small_loader: Loader
):
    tracked(record, small_loader)
    record.write()
    found = classes(outgoing_of(record), record.tracking)
    assert "train/total_loss" in found["metrics"]
    assert "SIMULATED" in found["name, group, tags and notes"]
    assert found["weights"] == []
    assert "weights and checkpoints" in found["STAYS HERE"]
    assert "recipe.text.model" not in found["settings and facts"]
    opened = dataclasses.replace(record, tracking=record.tracking.replace({"log_model": True}))
    assert classes(outgoing_of(opened), opened.tracking)["weights"] != []
    assert found["project and entity"] == ["discover-v2", "the entity of the key"]
    sent = {item.key for item in the_run(run_file(record.folder)).config.update} - {"_wandb"}
    assert sent == set(found["settings and facts"])


def test_the_best_model_goes_only_when_asked_for(record: RunRecord, small_loader: Loader):
    opened = dataclasses.replace(record, tracking=record.tracking.replace({"log_model": True}))
    tracked(opened, small_loader)
    kinds = [
        record.request.log_artifact.artifact.type
        for record in wandb_records(run_file(record.folder))
        if record.request.HasField("log_artifact")
    ] + [
        record.artifact.type
        for record in wandb_records(run_file(record.folder))
        if record.WhichOneof("record_type") == "artifact"
    ]
    assert kinds == ["model"]


def test_a_snapshot_holds_what_git_tracks_and_no_data(tmp_path: Path, monkeypatch):
    repository = tmp_path / "work"
    (repository / "data").mkdir(parents=True)
    for name, text in (("code.py", "x = 1\n"), ("data/log", "raw\n"), ("secret.txt", "key\n")):
        (repository / name).write_text(text)
    monkeypatch.chdir(repository)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "code.py", "data/log"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    (repository / "code.py").write_text("x = 2\n")
    made = snapshot(tmp_path / "run")
    assert made is not None
    with zipfile.ZipFile(made) as held:
        assert set(held.namelist()) == {"code.py", "changes.diff"}
        assert "+x = 2" in held.read("changes.diff").decode()


def test_a_study_has_a_summary_run_of_its_own(tmp_path: Path):
    rows = [["arm", "val/recall_mean mean"], ["base", 0.5], ["other", 0.25]]
    curves = {"base": [(0, 0.1), (9, 0.5)], "other": [(0, 0.1), (9, 0.25)]}
    trials = tuple((arm, seed, f"{arm}{seed}") for seed in (0, 1) for arm in curves)
    caveats = ("SIMULATED home", "random days")
    study = StudyRecord(tmp_path, "question", "Why?", ("milan",), True, caveats, trials)
    for _ in range(2):
        send_summary(Summary(study, rows, curves), Tracking(mode="offline"))
    path = run_file(tmp_path)
    run = the_run(path)
    assert run.display_name == "SIMULATED question summary"
    assert set(run.tags) == {"milan", "question", "SIMULATED", "random days", "quick"}
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["quick"], config["seeds"], config["caveats"]) == (True, 2, list(caveats))
    (row,) = history(path)
    assert row["comparison/_type"] == "table-file"
    assert (row["comparison/nrows"], row["comparison/ncols"]) == (2, 2)
    assert row["recall_mean by arm_table/nrows"] == 2
    assert row["recall_mean over steps_table/nrows"] == 4


@pytest.mark.parametrize(
    "canary", ["argv-canary", "environment-canary", "recipe-canary", "sensor-canary", "said-canary"]
)
def test_a_canary_in_argv_environment_settings_or_data_is_in_no_file_that_could_leave(
    canary: str, canary_run: Path
):
    if canary in ("argv-canary", "environment-canary"):
        everything = [path for path in canary_run.rglob("*") if path.is_file()]
    else:
        # Data and settings stay in the run's own records; they must be in nothing for W&B.
        everything = [path for path in (canary_run / "wandb").rglob("*") if path.is_file()]
        everything += list((canary_run / FOLDER).rglob("events.*"))
        everything += [canary_run / "ledger.jsonl"] if canary != "recipe-canary" else []
    assert len(everything) > 2
    holding = [path.name for path in everything if canary.encode() in path.read_bytes()]
    assert holding == []


@pytest.fixture(scope="module")
def canary_run(tmp_path_factory: pytest.TempPathFactory, text_model: str) -> Path:
    """A run, through the command line, of a home whose log and captions hold secrets."""
    folder = tmp_path_factory.mktemp("canary")
    log = folder / "recipe-canary.txt"
    log.write_text(
        "".join(
            f"2009-10-{day:02d} {10 + minute // 60}:{minute % 60:02d}:00 sensor-canary{minute % 3}"
            f" room ON said-canary\n"
            for day in range(1, 7)
            for minute in range(400)
        )
    )
    run = folder / "run"
    words = ["train", "milan_tiny", "data.homes=canary", *WORDS_WITHOUT_DATA, "--machine", "debug"]
    words += [f"text.model={text_model}", "--output-dir", str(run), "--wandb-notes", "plain"]
    words += ["tracking.backend=wandb,tensorboard", "tracking.mode=offline"]
    environment = {**os.environ, "MY_SECRET": "environment-canary", "CASAS_RAY_DATA": str(folder)}
    command = [sys.executable, "-m", "casas_ray"]
    prepare = [*command, "prepare", "canary", "--log", str(log)]
    subprocess.run(prepare, check=True, env=environment, capture_output=True)
    launcher = "import sys; sys.argv.append('argv-canary'); sys.argv.pop(); "
    launcher += "from casas_ray.cli.entry import run; sys.exit(run(sys.argv[2:], debug=True))"
    subprocess.run(
        [sys.executable, "-c", launcher, "argv-canary", *words],
        check=True,
        env=environment,
        capture_output=True,
    )
    return run


def test_a_folder_that_wandb_cannot_write_stops_no_training(
    record: RunRecord, small_loader: Loader, caplog
):
    record.folder.mkdir(parents=True)
    (record.folder / "wandb").write_text("a file where a folder must be")
    with caplog.at_level(logging.WARNING):
        tracked(record, small_loader)
    assert RunResult.read(record.folder).status == "finished"


def test_names_are_made_as_wandb_takes_them_and_unlike_ones_stay_unlike():
    assert fitted("fine, as it is") == "fine, as it is"
    long = ["x" * 200 + end for end in "ab"]
    assert len({fitted(text) for text in long}) == 2
    assert {len(fitted(text)) for text in long} == {128}
    tags = fitted_tags(["milan", "", "  ", "y" * 65, "y" * 64, "milan", "new\nline", "\udc80"])
    assert all(1 <= len(tag) <= 64 and tag.isprintable() for tag in tags)
    assert tags.count("milan") == 1
    assert "y" * 64 in tags
    assert len(tags) == 5
    for project in ("a/b", "a\\b", "#?%:", "p" * 129, "", "\x1b[31m"):
        made = fitted_project(project)
        assert 1 <= len(made) <= 128
        assert made.isprintable()
        assert not set(made) & set("/\\#?%:")
    assert fitted_project("a/b") != fitted_project("a:b")


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ("t" * 65, "", "\x1b[1m")},
        {"name": "n" * 129},
        {"group": "g" * 300, "project": "not/a:project", "notes": "n" * 5000},
    ],
)
def test_a_name_that_wandb_would_refuse_loses_no_run(record: RunRecord, caplog, change: dict):
    tracking = record.tracking.replace(change)
    long = {"group": "q" * 100, "arm": "arm" * 40, "name": "q" * 100 + "/" + "arm" * 40}
    records = [
        dataclasses.replace(record, tracking=tracking, folder=record.folder / name, **more)
        for name, more in (("one", long), ("two", {"group": "", "arm": ""}))
    ]
    ledgers = [Ledger(one.folder) for one in records]
    for ledger in ledgers:
        ledger.append("start", 0, info={"total_steps": 1})
        ledger.append("metrics", 1, metrics={"train/total_loss": 1.0})
        ledger.append("end", 1, status="finished")
    with (
        caplog.at_level(logging.WARNING),
        Follower([one.folder for one in records], [WandbMirror(records)]),
    ):
        pass  # its end is a last look
    # W&B's own logger says again what failed in tests before.
    assert [said for said in caplog.records if said.name.startswith("casas_ray")] == []
    for one in records:
        assert [row["global_step"] for row in history(run_file(one.folder))] == [1]


def test_a_fault_of_one_run_leaves_the_mirrors_of_the_others(record: RunRecord, caplog):
    records = [
        dataclasses.replace(record, folder=record.folder / name) for name in ("bad", "good", "last")
    ]
    for one in records:
        ledger = Ledger(one.folder)
        ledger.append("start", 0, info={"total_steps": 1})
        ledger.append("metrics", 1, metrics={"train/total_loss": 1.0})
        ledger.append("end", 1, status="finished")
    (records[0].folder / "wandb").write_text("a file where a folder must be")
    (records[0].folder / FOLDER).write_text("and another")
    views = [WandbMirror(records), TensorBoardMirror(records)]
    with caplog.at_level(logging.WARNING), Follower([one.folder for one in records], views):
        pass  # its end is a last look
    for one in records[1:]:
        assert [row["global_step"] for row in history(run_file(one.folder))] == [1]
        assert list((one.folder / FOLDER).glob("events.*"))
    told = [said.message for said in caplog.records if said.name.startswith("casas_ray")]
    assert len(told) == len({text.partition(":")[0] for text in told}) <= 2
    assert any("of bad" in text for text in told)


def test_a_run_of_json_from_a_simulated_home_is_named_simulated(record: RunRecord):
    recipe = record.recipe.replace({"data.simulated": False})
    about = about_run(dataclasses.replace(record, recipe=recipe), {})
    assert about["name"] == "SIMULATED question/base-seed0"
    assert about["config"]["quick"] is True
