"""The loop: exact resumes, repeatable runs, divergence, checkpoints that are whole or refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import AllFailed, DataError, RefusedError
from casas_ray.evals.judge import judge
from casas_ray.model import checkpoint
from casas_ray.model.feed import Shards
from casas_ray.model.step import TrainState, learning_rate, train_step
from casas_ray.results import RunResult, read_rows
from casas_ray.run.loop import train, train_to_the_end
from casas_ray.run.seats import Seat

CPU = torch.device("cpu")
CLOCKS = ("train/samples_per_s", "train/data_wait_share")


def rows_of(folder: Path) -> list[dict]:
    """Ledger rows without what a clock says."""
    rows = []
    for row in read_rows(folder):
        if row["event"] == "start":
            continue
        metrics = {
            name: value
            for name, value in row.get("metrics", {}).items()
            if name not in CLOCKS and not name.startswith("system/")
        }
        about = {name: value for name, value in row.get("about", {}).items() if name != "time"}
        rows.append({**row, "time": 0, "metrics": metrics, "about": about})
    return rows


def weights(folder: Path) -> dict[str, torch.Tensor]:
    last = checkpoint.latest(folder)
    assert last is not None
    return load_file(last / "weights.safetensors")


def assert_same_run(one: Path, other: Path) -> None:
    assert rows_of(one) == rows_of(other)
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_lowers_the_loss_and_beats_chance_and_the_untrained(whole_run: Path):
    result = RunResult.read(whole_run)
    best, untrained = result.best(), result.untrained()
    assert result.status == "finished"
    assert best["val/total_loss"] < untrained["val/total_loss"]
    assert best["val/recall_mean"] > 1.5 * best["val/chance_recall_mean"]
    assert best["val/recall_mean"] > 1.5 * untrained["val/recall_mean"]


def test_two_runs_of_one_recipe_are_bit_equal(
    whole_run: Path, tmp_path: Path, small_recipe: Recipe, small_shards: Shards
):
    train(Seat(tmp_path, log_every=3), small_recipe, small_shards)
    assert_same_run(whole_run, tmp_path)


KILLED_AT = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.model.feed import Shards
from casas_ray.run.loop import train
from casas_ray.run.seats import Seat
folder, at, recipe, prepared, vectors = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe)
shards = Shards.whole(PreparedSet(Path(prepared)), recipe, np.load(vectors), torch.device("cpu"))
class Killed(Seat):
    def report(self, step, metrics, **more):
        super().report(step, metrics, **more)
        if step >= int(at):
            os.kill(os.getpid(), signal.SIGKILL)
train(Killed(Path(folder), log_every=3), recipe, shards)
"""


@pytest.mark.parametrize("at", [3, 10, 18])
def test_a_run_killed_and_taken_up_again_is_the_run_that_was_not_killed(
    at: int,
    whole_run: Path,
    tmp_path: Path,
    small_recipe: Recipe,
    small_set: PreparedSet,
    small_vectors: np.ndarray,
):
    np.save(tmp_path / "vectors.npy", small_vectors)
    run = tmp_path / "run"
    words = [str(run), str(at), small_recipe.model_dump_json(), str(small_set.folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT, *words, str(tmp_path / "vectors.npy")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert RunResult.read(run).status == "running"
    train(
        Seat(run, log_every=3),
        small_recipe,
        Shards.whole(small_set, small_recipe, small_vectors, CPU),
    )
    assert_same_run(whole_run, run)


def test_a_diverging_run_ends_within_a_step_and_says_so(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    poisoned = small_vectors.copy()
    poisoned[:] = np.nan
    shards = Shards.whole(small_set, small_recipe, poisoned, CPU)
    train_to_the_end(Seat(tmp_path, log_every=1), small_recipe, lambda: shards)
    result = RunResult.read(tmp_path)
    assert result.status == "diverged"
    assert "the loss is nan" in result.error
    assert result.step == 0


def test_any_other_error_is_recorded_and_flies_on(
    tmp_path: Path, small_recipe: Recipe, small_shards: Shards, monkeypatch
):
    (tmp_path / "checkpoints").write_text("a file where a folder must be")
    with pytest.raises(OSError):
        train_to_the_end(Seat(tmp_path), small_recipe, lambda: small_shards)
    assert RunResult.read(tmp_path).status == "failed"


def test_data_that_cannot_be_opened_is_recorded_too(tmp_path: Path, small_recipe: Recipe):
    def lost() -> Shards:
        raise DataError("the set is gone")

    with pytest.raises(DataError):
        train_to_the_end(Seat(tmp_path), small_recipe, lost)
    result = RunResult.read(tmp_path)
    assert (result.status, result.error) == ("failed", "the set is gone")


@pytest.mark.parametrize("name", ["val/total_loss", "val/clip_loss", "val/ndcg_mean"])
def test_the_named_metric_chooses_the_best_at_the_named_steps(
    name: str, tmp_path: Path, small_recipe: Recipe, small_shards: Shards
):
    recipe = small_recipe.replace({"optim.select_by": name, "optim.validate_every": 7})
    train(Seat(tmp_path), recipe, small_shards)
    result = RunResult.read(tmp_path)
    looks = {
        row["step"]: row["metrics"][name]
        for row in result.rows
        if name in row.get("metrics", {}) and row["step"]
    }
    assert list(looks) == [7, 14, 18, 21, 28, 35, 36]  # every 7 steps, and each epoch's end
    best = (
        min(looks, key=looks.__getitem__)
        if name.endswith("loss")
        else max(looks, key=looks.__getitem__)
    )
    assert result.best()[name] == looks[best]
    assert checkpoint.best(tmp_path).name == f"step-{best:08d}"


def test_only_the_newest_and_the_best_checkpoints_are_kept(
    tmp_path: Path, small_recipe: Recipe, small_shards: Shards
):
    recipe = small_recipe.replace({"optim.epochs": 4})
    shards = Shards(
        type(small_shards.train)(
            small_shards.train.shard, small_shards.train.lanes, small_shards.train.vectors, recipe
        ),
        small_shards.val,
        small_shards.source,
    )
    state = train(Seat(tmp_path, keep_checkpoints=1), recipe, shards)
    kept = {int(path.name[5:]) for path in (tmp_path / "checkpoints").glob("step-*")}
    assert kept == {state.total_steps, int(state.best["step"])}


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


def test_a_torn_newest_checkpoint_is_passed_over_for_the_one_before(copied: Path, caplog):
    before, newest = sorted((copied / "checkpoints").glob("step-*"))
    os.truncate(newest / "weights.safetensors", 100)
    assert checkpoint.latest(copied) == before
    assert "torn or altered" in caplog.text


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "meta.json"])
def test_an_altered_checkpoint_is_refused(copied: Path, name: str):
    folder = checkpoint.best(copied)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 255
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="torn or altered"):
        checkpoint.read_meta(folder)


def test_a_checkpoint_of_another_version_is_refused_and_not_passed_over(copied: Path):
    folder = checkpoint.latest(copied)
    assert folder is not None
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"format": 2}))
    with pytest.raises(RefusedError, match="is of format 2; this version reads 3"):
        checkpoint.latest(copied)


def test_a_checkpoint_of_another_recipe_or_set_is_refused(
    copied: Path, small_recipe: Recipe, small_shards: Shards
):
    with pytest.raises(RefusedError, match=r"it differs in optim\.learning_rate"):
        train(Seat(copied), small_recipe.replace({"optim.learning_rate": 0.1}), small_shards)
    folder = checkpoint.best(copied)
    meta = json.loads((folder / "meta.json").read_text())
    meta["about"]["fingerprint"] = "another"
    (folder / "meta.json").write_text(json.dumps(meta))
    state = fresh(small_recipe, small_shards)
    with pytest.raises(RefusedError, match="another alignment set"):
        checkpoint.restore(state, folder)


def fresh(recipe: Recipe, shards: Shards) -> TrainState:
    return TrainState.fresh(
        recipe,
        sizes=shards.source.sizes(),
        text_size=16,
        steps_per_epoch=shards.train.lanes.steps_per_epoch,
        device=CPU,
        about=shards.source.about,
    )


def test_temperature_biases_and_norms_are_not_decayed(small_recipe: Recipe, small_shards: Shards):
    decayed, spared = fresh(small_recipe, small_shards).optimizer.param_groups
    assert decayed["weight_decay"] == 0.01
    assert spared["weight_decay"] == 0.0
    assert min(weight.ndim for weight in decayed["params"]) == 2
    assert max(weight.ndim for weight in spared["params"]) == 1


def test_every_weight_is_trained(small_recipe: Recipe, small_shards: Shards):
    state = fresh(small_recipe, small_shards)
    before = {name: weight.detach().clone() for name, weight in state.model.named_parameters()}
    for _, batch in zip(range(3), small_shards.train.batches(start=0), strict=False):
        train_step(state, batch)
    still = [
        name for name, weight in state.model.named_parameters() if torch.equal(weight, before[name])
    ]
    assert still == []


def test_the_rate_rises_for_a_tenth_and_falls_to_nothing():
    config = Recipe().optim
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[9] == rates[10] == pytest.approx(2e-4)
    assert rates[55] == pytest.approx(1e-4)
    assert rates[99] == pytest.approx(0.0, abs=1e-7)


def test_the_test_days_are_judged_once_and_the_answer_is_kept(
    copied: Path, small_set: PreparedSet, small_vectors: np.ndarray
):
    verdict = judge(copied, small_set, small_vectors)
    assert verdict["caveats"] == ["SIMULATED home"]
    assert verdict["trained"]["test/gallery"] == small_set.manifest["windows"]["test"]
    assert verdict["trained"]["test/recall_mean"] > verdict["untrained"]["test/recall_mean"]
    shutil.rmtree(copied / "checkpoints")
    assert judge(copied, small_set, small_vectors) == verdict


def test_out_of_memory_says_what_to_lower(small_recipe: Recipe, tmp_path: Path):
    def full() -> Shards:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(AllFailed) as caught:
        train_to_the_end(Seat(tmp_path), small_recipe, full)
    assert "out of memory with 32 pairs in 1 piece(s)" in caught.value.problem
    assert "optim.pieces" in caught.value.hint
    assert "out of memory with 32 pairs" in RunResult.read(tmp_path).error


def test_a_pickled_file_is_never_opened(tmp_path: Path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(DataError, match="is a file; wanted the folder of a run"):
        checkpoint.best(tmp_path / "model.pt")
