"""A trained run opened once: its vectors are those of its windows, whoever brings the events."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.context import CONTEXT, loader_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.evals.judge import probe_validation
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.loader.window_store import WindowStore
from casas_ray.records.run_store import FolderStore
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder


@pytest.fixture(scope="module")
def trained(whole_run: Path) -> TrainedRun:
    return TrainedRun.open(whole_run)


def test_windows_of_a_split_are_the_models_own_vectors(
    trained: TrainedRun, small_set: PreparedSet, small_vectors: np.ndarray
):
    vectors = trained.encode_windows("val")
    store = WindowStore.of(small_set.windows("val"))
    rows = np.arange(len(store))
    with torch.inference_mode():
        encoded = trained.model(store.fixed_batch(rows, torch.from_numpy(small_vectors)))
    np.testing.assert_allclose(vectors, encoded.sensor_BD.numpy(), atol=1e-6)
    assert np.abs(vectors[0] - vectors[-1]).max() > 0.01


def test_new_events_are_cut_and_encoded_as_those_of_the_set(
    trained: TrainedRun, small_set: PreparedSet
):
    events = pq.read_table(small_set.folder / "events.parquet")
    windows = small_set.windows("val")
    first = windows.column("first_event")[0].as_py()
    length = windows.column("length")
    after = windows.column("first_event")[-1].as_py() + length[len(length) - 1].as_py()
    rows = slice(first, after)
    columns = {
        "time": events.column("time_us").to_numpy()[rows].astype("datetime64[us]"),
        "sensor": events.column("sensor").to_pylist()[rows],
        "state": events.column("state").to_pylist()[rows],
    }
    wanted = trained.encode_windows("val")
    vectors = trained.encode_windows(columns)
    assert vectors.shape == wanted.shape
    # The first event of what is brought has no event before it, so its gap is another.
    np.testing.assert_allclose(vectors[1:], wanted[1:], atol=1e-6)
    shuffled = np.random.default_rng(0).permutation(after - first)
    mixed = {name: np.array(values)[shuffled] for name, values in columns.items()}
    assert trained.encode_windows(mixed).shape == wanted.shape


def test_texts_are_the_captions_own_vectors(trained: TrainedRun, small_set: PreparedSet):
    captions = small_set.captions()[:5]
    vectors = trained.encode_text(captions)
    assert vectors.shape == (5, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(trained.encode_text(captions[:1]), vectors[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            {"time": ["2010-01-07 08:00"], "sensor": ["M999"], "state": ["ON"]},
            "not in home 'milan'",
        ),
        ({"time": ["noon"], "sensor": ["M012"], "state": ["ON"]}, "no time"),
        ({"time": ["2010-01-07"], "sensor": ["M012"]}, "no column 'state'"),
        ({"time": [], "sensor": [], "state": []}, "no events"),
        ({"time": ["2010-01-07"], "sensor": ["M012"] * 2, "state": ["ON"]}, "1, 2, 1 rows"),
        ({"time": ["2010-01-07"], "sensor": ["M012"], "state": ["ON"]}, "make no window"),
        ("tset", "no split 'tset'"),
    ],
)
def test_events_that_do_not_fit_are_named(trained: TrainedRun, columns, problem: str):
    with pytest.raises(DataError, match=problem):
        trained.encode_windows(columns)


def test_a_run_whose_set_is_gone_says_so(whole_run: Path, tmp_path: Path):
    run = TrainedRun.open(Path(shutil.copytree(whole_run, tmp_path / "run")))
    about = {**run.meta["about"], "fingerprint": "0" * 64}
    lost = dataclasses.replace(run, meta={**run.meta, "about": about})
    with pytest.raises(DataError, match="the alignment set 000000000000 is not in"):
        lost.encode_windows("val")


@pytest.fixture(scope="module")
def around(
    tmp_path_factory: pytest.TempPathFactory,
    small_recipe: Recipe,
    small_set: PreparedSet,
    small_vectors: np.ndarray,
) -> TrainedRun:
    """A run that reads what came before its windows."""
    folder, recipe = tmp_path_factory.mktemp("around"), small_recipe.replace(CONTEXT)
    recipe = recipe.replace({"optim.epochs": 1, "optim.select_by": "val/total_loss"})
    loader = loader_of(recipe, small_set, small_vectors)
    train(RunRecorder(FolderStore(folder), log_every=3), recipe, loader)
    return TrainedRun.open(folder)


def test_a_run_with_context_is_opened_with_all_its_heads_and_judged_as_one_of_the_past(
    around: TrainedRun,
):
    assert around.model.aggregates.out_features == around.meta["about"]["aggregates"] > 20
    found = probe_validation(around).evaluation
    assert found is not None
    levels = {row.name: row.level for row in found.rows}
    assert (levels["trained"], levels["untrained"]) == ("past", "past")
    assert levels["trained + hand mix"] == "past"
    assert levels["captions alone"] == "window"


def test_new_events_are_encoded_with_those_before_them_that_were_brought_too(
    around: TrainedRun, small_set: PreparedSet
):
    events = pq.read_table(small_set.folder / "events.parquet")
    windows = small_set.windows("val")
    first = windows.column("first_event")[0].as_py()
    after = windows.column("first_event")[-1].as_py() + windows.column("length")[-1].as_py()
    rows = slice(first, after)
    columns = {
        "time": events.column("time_us").to_numpy()[rows].astype("datetime64[us]"),
        "sensor": events.column("sensor").to_pylist()[rows],
        "state": events.column("state").to_pylist()[rows],
    }
    wanted, found = around.encode_windows("val"), around.encode_windows(columns)
    np.testing.assert_allclose(found[5:], wanted[5:], atol=1e-5)
