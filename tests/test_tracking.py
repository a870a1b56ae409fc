"""W&B as a view of the ledger, read back from its offline run files."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wandb_file import history, run_file, the_run

from casas_ray.config import Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.model.feed import Shards
from casas_ray.results import Ledger, RunResult
from casas_ray.run.follow import Follower, Tail
from casas_ray.run.here import seat_for
from casas_ray.run.job import Job, Place
from casas_ray.run.loop import train
from casas_ray.run.tracking import WandbMirror, sent_config

PLACE = Place(threads=1, workers=1, gpus_per_worker=0.0, keep_checkpoints=1)


@pytest.fixture
def job(tmp_path: Path, small_recipe: Recipe) -> Job:
    return Job(
        name="question/base-seed0",
        folder=tmp_path / "base-seed0",
        recipe=small_recipe,
        tracking=Tracking(mode="offline", log_every=4, tags=("mine",), notes="why"),
        group="question",
        arm="base",
        caveats=("SIMULATED home",),
        quick=True,
    )


def tracked(job: Job, shards: Shards) -> None:
    with Follower([job.folder], [WandbMirror([job])]):
        train(seat_for(job, PLACE), job.recipe, shards)


def test_a_run_reaches_wandb_with_every_key_at_its_step_once(job: Job, small_shards: Shards):
    tracked(job, small_shards)
    path = run_file(job.folder)
    rows = history(path)
    ledger = [row for row in RunResult.read(job.folder).rows if row["event"] == "metrics"]
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
    }
    assert {"val/total_loss", "val/clip_loss", "val/sensor_to_text_acc"} <= set(rows[0])


def test_the_run_says_what_it_is(job: Job, small_shards: Shards):
    tracked(job, small_shards)
    run = the_run(run_file(job.folder))
    assert run.display_name == "SIMULATED question/base-seed0"
    assert (run.project, run.run_group, run.job_type) == ("discover-v2", "question", "tune")
    assert set(run.tags) == {"milan", "seed:0", "mine", "question", "base", "SIMULATED", "quick"}
    assert run.notes == "why"
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["recipe.optim.batch_size"] == 32
    assert config["caveats"] == ["SIMULATED home"]


def test_what_should_stay_home_is_in_no_wandb_file(
    job: Job, small_shards: Shards, small_set: PreparedSet, monkeypatch
):
    monkeypatch.setenv("SOME_SECRET", "canary-in-the-environment")
    tracked(job, small_shards)
    content = b"".join(
        path.read_bytes() for path in (job.folder / "wandb").rglob("*.wandb") if path.is_file()
    )
    files = [path for path in (job.folder / "wandb").rglob("files/*") if path.is_file()]
    content += b"".join(path.read_bytes() for path in files)
    assert b"val/recall_mean" in content
    for secret in (
        "canary-in-the-environment",
        small_set.captions()[0],
        "M021",
        "master_bedroom",
        job.recipe.text.model,
        str(Path.home() / "x")[:-1],
    ):
        assert secret.encode() not in content, secret


def test_only_listed_facts_are_sent():
    info = {
        "home": "milan",
        "hostname": "my-machine",
        "vocabulary": {"sensor": ["M021"]},
        "recipe": {"seed": 1, "text.model": "/home/me/model"},
    }
    assert sent_config(info) == {"home": "milan", "recipe.seed": 1}


def test_a_training_taken_up_again_sends_no_row_twice(job: Job):
    def rows(start: int, steps: list[int]) -> None:
        ledger = Ledger(job.folder)
        ledger.append("start", start, info={"total_steps": 9})
        for step in steps:
            ledger.append("metrics", step, metrics={"train/total_loss": float(step)})

    rows(0, [2, 4, 6])
    with Follower([job.folder], [WandbMirror([job])]):
        time.sleep(0.1)
    rows(4, [6, 8])
    Ledger(job.folder).append("end", 8, status="finished")
    with Follower([job.folder], [WandbMirror([job])]):
        time.sleep(0.1)
    files = sorted(job.folder.glob("wandb/offline-run-*/*.wandb"))
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


DEAD_HOST = """
import sys, time
from pathlib import Path
from casas_ray.config import Recipe, Tracking
from casas_ray.results import Ledger
from casas_ray.run.follow import Follower
from casas_ray.run.job import Job
from casas_ray.run.tracking import WandbMirror
folder = Path(sys.argv[1])
job = Job("x", folder, Recipe(), Tracking(mode="online"))
ledger = Ledger(folder)
with Follower([folder], [WandbMirror([job])]):
    ledger.append("start", 0, info={"total_steps": 1})
    ledger.append("metrics", 1, metrics={"train/total_loss": 1.0})
    ledger.append("end", 1, status="finished")
"""


def test_a_host_that_does_not_answer_leaves_the_run_offline_with_one_warning(tmp_path: Path):
    # A port of this machine that nobody listens on, and a key of a likely shape.
    wandb_settings = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "x" * 40}
    environment = {**os.environ, **wandb_settings, "WANDB_SILENT": "true"}
    del environment["WANDB_MODE"]
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", DEAD_HOST, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - began < 30.0
    assert ended.stderr.count("W&B does not answer") == 1
    assert [row["global_step"] for row in history(run_file(tmp_path))] == [1]


def test_a_tail_gives_each_whole_line_once(tmp_path: Path):
    tail = Tail(tmp_path)
    assert tail.new_rows() == []
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st')
    assert tail.new_rows() == [{"step": 1}]
    with path.open("ab") as stream:
        stream.write(b'ep": 2}\nbroken\n{"step": 3}\n')
    assert tail.new_rows() == [{"step": 2}, {"step": 3}]
    assert tail.new_rows() == []
