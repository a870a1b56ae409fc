"""Trainings of ours in a Tuner and a TorchTrainer that a user builds, over a real Ray: W&B hears of
each row once, and Ray shows what the ledgers say."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray.train
from ray import tune
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.tune.schedulers import ASHAScheduler
from support.wandb_server import KEY, WandbServer, serving

from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.records import checkpoints
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.run.environment import prepare_environment
from casas_ray.run.own_ray import own_search, own_training
from casas_ray.run.session import session

pytestmark = pytest.mark.slow
ONLINE = Tracking(mode="online", log_every=6, log_parameters=False, code_snapshot=False)


@pytest.fixture(scope="module")
def server() -> Iterator[WandbServer]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def a_ray(server: WandbServer) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.pop("RAY_ADDRESS", None)
    # Before Ray starts: a trainer's controller is a process of its own.
    os.environ |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}
    prepare_environment()
    with session(Machine()):
        yield
    os.environ.clear()
    os.environ |= before


def assert_sent_once(server: WandbServer, run: Path, status: str) -> None:
    record = RunRecord.read(run)
    names = {held["displayName"]: name for name, held in server.runs.items()}
    name = names[f"SIMULATED {record.name}"]
    sent = [
        (row["global_step"], key)
        for row in server.history(name)
        for key in row
        if key.partition("/")[0] in ("train", "val", "system")
    ]
    kept = {
        (row["step"], key)
        for row in RunResult.read(run).rows
        if row["event"] == "metrics"
        for key in row["metrics"]
    }
    assert len(sent) == len(set(sent))
    assert set(sent) == kept
    assert server.runs[name]["summary"]["training/status"] == status


def test_a_scheduler_of_ones_own_stops_a_trial_by_the_metric_that_the_table_would_show(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, server: WandbServer
):
    space = {"optim.learning_rate": tune.grid_search([5e-3, 1e-7, 1e30])}
    metric = {"metric": "val/recall_mean", "mode": "max"}
    halving = ASHAScheduler(time_attr="step", grace_period=18, max_t=100, reduction_factor=2)
    with own_search(small_recipe, tmp_path / "mine", tracking=ONLINE, data=small_set) as search:
        tuner = tune.Tuner(
            search.trainable,
            param_space=space,
            # One after the other: the first has nobody to be worse than.
            tune_config=tune.TuneConfig(scheduler=halving, max_concurrent_trials=1, **metric),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path / "ray"), callbacks=[search.logger], verbose=0
            ),
        )
        results = tuner.fit()
    runs = {path.parent.name: path.parent for path in (tmp_path / "mine").glob("*/run.json")}
    told = {name: RunResult.read(run) for name, run in runs.items()}
    by_rate = {
        RunRecord.read(run).recipe.optim.learning_rate: told[name] for name, run in runs.items()
    }
    assert [by_rate[rate].status for rate in (5e-3, 1e-7, 1e30)] == [
        "finished",
        "stopped",
        "diverged",
    ]
    assert (by_rate[1e-7].step, by_rate[1e-7].error) == (18, "Tune stopped it")
    best = results.get_best_result()
    assert best.config == {"optim.learning_rate": 5e-3}
    assert best.metrics is not None
    assert best.checkpoint is not None
    assert by_rate[5e-3].best().items() <= best.metrics.items()
    assert Path(best.checkpoint.path) == checkpoints.best(by_rate[5e-3].folder)
    assert results.num_errors == 0
    for name, run in runs.items():
        assert_sent_once(server, run, told[name].status)


def test_a_trainer_of_ones_own_is_mirrored_whole(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, server: WandbServer
):
    machine = Machine(workers=2, cpus_per_worker=0.5)
    with own_training(
        small_recipe, tmp_path / "alone", machine=machine, tracking=ONLINE, data=small_set
    ) as training:
        trainer = TorchTrainer(
            training.loop,
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}),
            torch_config=TorchConfig(backend="gloo"),
            run_config=ray.train.RunConfig(
                name="own", storage_path=str(tmp_path / "ray"), callbacks=[training.callback]
            ),
        )
        trainer.fit()
    told = RunResult.read(tmp_path / "alone")
    assert (told.status, told.info["workers"]) == ("finished", 2)
    assert_sent_once(server, tmp_path / "alone", "finished")
