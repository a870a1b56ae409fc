"""The loop: exact resumes, repeatable runs, divergence, checkpoints that are whole or refused."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.ledgers import assert_same_run
from support.training import saved

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import AllFailed, DataError, RefusedError
from casas_ray.evals.judge import evaluate
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import sha256_of
from casas_ray.loader.loader import Loader
from casas_ray.loader.training_data import TrainingData
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import read_meta
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore
from casas_ray.records.verdict import recorded_verdict
from casas_ray.sealed import sealed, write_sealed
from casas_ray.training import checkpoint
from casas_ray.training.loop import train, train_to_the_end
from casas_ray.training.recorder import RunRecorder
from casas_ray.training.step import TrainState, learning_rate, train_step

CPU = torch.device("cpu")


def test_training_lowers_the_loss_and_beats_chance_and_the_untrained(whole_run: Path):
    result = RunResult.read(whole_run)
    best, untrained = result.best(), result.untrained()
    assert result.status == "finished"
    assert best["val/total_loss"] < untrained["val/total_loss"]
    assert best["val/recall_mean"] > 1.5 * best["val/chance_recall_mean"]
    assert best["val/recall_mean"] > 1.5 * untrained["val/recall_mean"]


def test_two_runs_of_one_recipe_are_bit_equal(
    whole_run: Path, tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    train(RunRecorder(FolderStore(tmp_path), log_every=3), small_recipe, small_loader)
    assert_same_run(whole_run, tmp_path)


KILLED_AT = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.training_data import TrainingData
from casas_ray.training.loop import train
from casas_ray.records.run_store import FolderStore
from casas_ray.training.recorder import RunRecorder
folder, at, recipe, prepared, vectors = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe)
data = TrainingData(PreparedSet(Path(prepared)), np.load(vectors))
loader = data.loader(recipe, torch.device("cpu"))
class Killed(RunRecorder):
    def report(self, step, metrics, **more):
        super().report(step, metrics, **more)
        if step >= int(at):
            os.kill(os.getpid(), signal.SIGKILL)
train(Killed(FolderStore(Path(folder)), log_every=3), recipe, loader)
"""


@pytest.mark.faults
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
        RunRecorder(FolderStore(run), log_every=3),
        small_recipe,
        TrainingData(small_set, small_vectors).loader(small_recipe, CPU),
    )
    assert_same_run(whole_run, run)


def test_a_training_cut_short_has_its_whole_schedule_in_the_steps_that_it_has(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"optim.max_steps": 10})
    loader = dataclasses.replace(small_loader, recipe=recipe)
    train(RunRecorder(FolderStore(tmp_path), log_every=1), recipe, loader)
    result = RunResult.read(tmp_path)
    assert (result.status, result.step, result.info["total_steps"]) == ("finished", 10, 10)
    rates = [
        row["metrics"]["train/learning_rate"]
        for row in result.rows
        if "train/learning_rate" in row.get("metrics", {})
    ]
    # One step of ten warms up to 0.002; of the nine that fall as a cosine, the last has 8/9 done.
    assert len(rates) == 10
    assert rates[0] == rates[1] == pytest.approx(0.002)
    assert rates[9] == pytest.approx(0.001 * (1 + math.cos(math.pi * 8 / 9)))
    looks = [row["step"] for row in result.rows if "val/total_loss" in row.get("metrics", {})]
    assert looks == [0, 10]
    assert checkpoints.best(tmp_path).name == "step-00000010"


def test_more_steps_than_the_epochs_have_change_nothing(
    whole_run: Path, tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"optim.max_steps": 37})
    train(RunRecorder(FolderStore(tmp_path), log_every=3), recipe, small_loader)
    assert RunResult.read(tmp_path).step == RunResult.read(whole_run).step == 36
    assert RunResult.read(tmp_path).best() == RunResult.read(whole_run).best()


def test_the_share_of_masked_events_grows_over_the_steps_that_are_taken(
    small_recipe: Recipe, small_loader: Loader
):
    def last_share(**changes: object) -> float:
        recipe = small_recipe.replace({"masking.share": 0.5, "masking.grows_from": 0.1, **changes})
        batches = dataclasses.replace(small_loader, recipe=recipe).batches(start=9)
        return float(next(batches).masked_BL.float().mean())

    # The tenth step of 36 masks 0.1 + 0.4 * 9/36 = 0.2; of 10, 0.1 + 0.4 * 9/10 = 0.46.
    assert last_share() == pytest.approx(0.2, abs=0.03)
    assert last_share(**{"optim.max_steps": 10}) == pytest.approx(0.46, abs=0.03)


def test_a_training_cut_short_killed_and_taken_up_is_the_one_that_was_not_killed(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace({"optim.max_steps": 10, "optim.validate_every": 4})
    np.save(tmp_path / "vectors.npy", small_vectors)
    words = [str(tmp_path / "run"), "6", recipe.model_dump_json(), str(small_set.folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT, *words, str(tmp_path / "vectors.npy")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    loader = TrainingData(small_set, small_vectors).loader(recipe, CPU)
    for name in ("run", "whole"):
        train(RunRecorder(FolderStore(tmp_path / name), log_every=3), recipe, loader)
    assert RunResult.read(tmp_path / "run").step == 10
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    with pytest.raises(RefusedError, match=r"another recipe; it differs in optim\.max_steps"):
        train(RunRecorder(FolderStore(tmp_path / "run")), small_recipe, loader)


@pytest.mark.faults
def test_a_diverging_run_ends_within_a_step_and_says_so(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    poisoned = small_vectors.copy()
    poisoned[:] = np.nan
    loader = TrainingData(small_set, poisoned).loader(small_recipe, CPU)
    train_to_the_end(RunRecorder(FolderStore(tmp_path), log_every=1), small_recipe, lambda: loader)
    result = RunResult.read(tmp_path)
    assert result.status == "diverged"
    assert "the loss is nan" in result.error
    assert result.step == 0


def test_any_other_error_is_recorded_and_flies_on(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader, monkeypatch
):
    (tmp_path / "checkpoints").write_text("a file where a folder must be")
    with pytest.raises(OSError):
        train_to_the_end(RunRecorder(FolderStore(tmp_path)), small_recipe, lambda: small_loader)
    result = RunResult.read(tmp_path)
    assert result.status == "failed"
    # The ledger is ahead of a checkpoint that was not written, never behind one that was.
    assert [row["event"] for row in result.rows][-2:] == ["checkpoint", "end"]


def test_data_that_cannot_be_opened_is_recorded_too(tmp_path: Path, small_recipe: Recipe):
    def lost() -> Loader:
        raise DataError("the set is gone")

    with pytest.raises(DataError):
        train_to_the_end(RunRecorder(FolderStore(tmp_path)), small_recipe, lost)
    result = RunResult.read(tmp_path)
    assert (result.status, result.error) == ("failed", "the set is gone")


@pytest.mark.parametrize("name", ["val/total_loss", "val/clip_loss", "val/ndcg_mean"])
def test_the_named_metric_chooses_the_best_at_the_named_steps(
    name: str, tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"optim.select_by": name, "optim.validate_every": 7})
    train(RunRecorder(FolderStore(tmp_path)), recipe, small_loader)
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
    assert checkpoints.best(tmp_path).name == f"step-{best:08d}"


def test_only_the_newest_and_the_best_checkpoints_are_kept(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"optim.epochs": 4})
    loader = dataclasses.replace(small_loader, recipe=recipe)
    state = train(RunRecorder(FolderStore(tmp_path), keep_checkpoints=1), recipe, loader)
    kept = {int(path.name[5:]) for path in (tmp_path / "checkpoints").glob("step-*")}
    assert kept == {state.total_steps, int(state.best["step"])}


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


@pytest.mark.faults
def test_a_torn_newest_checkpoint_is_passed_over_for_the_one_before(copied: Path, caplog):
    before, newest = sorted((copied / "checkpoints").glob("step-*"))
    os.truncate(newest / "weights.safetensors", 100)
    assert checkpoints.latest(copied) == before
    assert "torn or altered" in caplog.text


KILLED_AFTER_RENAME = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from casas_ray import files
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.training_data import TrainingData
from casas_ray.training import checkpoint
from casas_ray.training.loop import train
from casas_ray.records.run_store import FolderStore
from casas_ray.training.recorder import RunRecorder
folder, name, recipe, prepared, vectors = sys.argv[1:]
real = os.replace
def rename(self, target):
    real(self, target)
    if Path(target).name == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return Path(target)
Path.replace = rename
recipe = Recipe.model_validate_json(recipe)
loader = TrainingData(PreparedSet(Path(prepared)), np.load(vectors)).loader(
    recipe, torch.device("cpu"))
train(RunRecorder(FolderStore(Path(folder)), log_every=3, keep_checkpoints=1), recipe, loader)
"""


@pytest.mark.faults
def test_killed_when_a_best_checkpoint_got_its_name_table_and_evaluate_agree(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    np.save(tmp_path / "vectors.npy", small_vectors)
    run = tmp_path / "run"
    recipe = small_recipe.replace({"optim.epochs": 3})
    words = [str(run), "step-00000036", recipe.model_dump_json(), str(small_set.folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_RENAME, *words, str(tmp_path / "vectors.npy")],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert RunResult.read(run).best_step == TrainedRun.open(run).step == 36
    loader = TrainingData(small_set, small_vectors).loader(recipe, CPU)
    train(RunRecorder(FolderStore(run), log_every=3, keep_checkpoints=1), recipe, loader)
    assert RunResult.read(run).best_step == TrainedRun.open(run).step


def test_a_record_of_the_best_beside_the_ledger_is_not_believed(copied: Path):
    chosen = checkpoints.best(copied)
    (copied / "checkpoints" / "best.json").write_text('{"step": 18.0, "value": 0.9}')
    assert checkpoints.best(copied) == chosen


def test_a_best_checkpoint_that_is_gone_is_named_and_no_other_is_judged(copied: Path):
    shutil.rmtree(checkpoints.best(copied))
    with pytest.raises(DataError, match="no checkpoint of step 36, which its ledger calls"):
        TrainedRun.open(copied)


def test_weights_without_their_ledger_are_judged_by_what_they_say_themselves(copied: Path):
    chosen = checkpoints.best(copied)
    (copied / "ledger.jsonl").unlink()
    assert checkpoints.best(copied) == chosen


def test_a_finished_run_whose_ledger_is_gone_is_trained_again_and_nothing_is_lost(
    copied: Path, whole_run: Path, small_recipe: Recipe, small_loader: Loader
):
    (copied / "ledger.jsonl").unlink()
    assert RunResult.read(copied).status == "missing"
    train(RunRecorder(FolderStore(copied), log_every=3), small_recipe, small_loader)
    assert_same_run(whole_run, copied)
    (aside,) = copied.glob("checkpoints-set-aside-*")
    assert [path.name for path in sorted(aside.iterdir())] == ["step-00000018", "step-00000036"]


def test_a_checkpoint_that_the_ledger_does_not_tell_of_is_not_gone_on_from(
    copied: Path, whole_run: Path, small_recipe: Recipe, small_loader: Loader
):
    ledger = copied / "ledger.jsonl"
    rows = ledger.read_text().splitlines()
    ledger.write_text("\n".join(row for row in rows if json.loads(row)["step"] <= 20))
    train(
        RunRecorder(FolderStore(copied), log_every=3, keep_checkpoints=1),
        small_recipe,
        small_loader,
    )
    assert_same_run(whole_run, copied)


def test_pruning_touches_only_what_is_a_checkpoint_of_ours(
    copied: Path, small_recipe: Recipe, small_loader: Loader
):
    keepsakes = ["step-best-of-all", "step-1", "step-00000001"]
    for name in keepsakes:
        (copied / "checkpoints" / name).mkdir()
        (copied / "checkpoints" / name / "mine.txt").write_text("")
    state = fresh(small_recipe, small_loader)
    state.step = 40
    saved(state, copied, keep=1)
    kept = {path.name for path in (copied / "checkpoints").glob("step-*")}
    assert kept == {*keepsakes, "step-00000040"}


def test_an_older_checkpoint_of_a_step_goes_only_when_the_new_one_is_whole(
    copied: Path, small_recipe: Recipe, small_loader: Loader, monkeypatch
):
    before = checkpoints.best(copied)
    state = fresh(small_recipe, small_loader)
    state.step = 36
    # Held where the old folder of that step must still be whole: when the new one is on the disk.
    seen = []
    monkeypatch.setattr(
        "casas_ray.training.checkpoint.write_sealed",
        lambda path, value: seen.append(read_meta(before)["step"]) or write_sealed(path, value),
    )
    saved(state, copied, keep=2)
    assert seen == [36]
    assert read_meta(before)["stale"] == 0


@pytest.mark.parametrize("content", ["[]", "12", "null", '"text"', "", '{"format": 3}'])
def test_a_meta_that_is_no_meta_is_named(content: str, copied: Path):
    (checkpoints.best(copied) / "meta.json").write_text(content)
    with pytest.raises(DataError, match="torn or altered"):
        TrainedRun.open(copied)


def test_a_header_that_claims_to_be_huge_is_named(copied: Path):
    folder = checkpoints.best(copied)
    weights = folder / "weights.safetensors"
    weights.write_bytes((2**62).to_bytes(8, "little") + weights.read_bytes()[8:])
    meta = json.loads((folder / "meta.json").read_text())
    meta["sha256"]["weights.safetensors"] = sha256_of(weights)
    (folder / "meta.json").write_text(json.dumps(sealed(meta)))
    with pytest.raises(DataError, match="torn or altered"):
        _ = TrainedRun.open(copied).model


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"step": 1, "caveats": []}'])
def test_a_damaged_verdict_is_named_with_what_to_do(content: bytes, copied: Path):
    (copied / "test.json").write_bytes(content)
    with pytest.raises(DataError, match=r"test\.json is damaged") as caught:
        evaluate(TrainedRun.open(copied))
    assert "restore it" in caught.value.hint


@pytest.mark.faults
@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "meta.json"])
def test_an_altered_checkpoint_is_refused(copied: Path, name: str):
    folder = checkpoints.best(copied)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 255
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="torn or altered"):
        read_meta(folder)


def test_a_checkpoint_of_another_version_is_refused_and_not_passed_over(copied: Path):
    folder = checkpoints.latest(copied)
    assert folder is not None
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"format": 2}))
    with pytest.raises(RefusedError, match="is of format 2; this version reads 3"):
        checkpoints.latest(copied)


def test_a_checkpoint_of_another_recipe_or_set_is_refused(
    copied: Path, small_recipe: Recipe, small_loader: Loader
):
    with pytest.raises(RefusedError, match=r"it differs in optim\.learning_rate"):
        train(
            RunRecorder(FolderStore(copied)),
            small_recipe.replace({"optim.learning_rate": 0.1}),
            small_loader,
        )
    folder = checkpoints.best(copied)
    meta = json.loads((folder / "meta.json").read_text())
    meta["about"]["fingerprint"] = "another"
    (folder / "meta.json").write_text(json.dumps(sealed(meta)))
    state = fresh(small_recipe, small_loader)
    with pytest.raises(RefusedError, match="another alignment set"):
        checkpoint.restore(state, folder)


def fresh(recipe: Recipe, loader: Loader) -> TrainState:
    return TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=16,
        steps_per_epoch=loader.sampler.steps_per_epoch,
        device=CPU,
        about=loader.facts.about,
    )


def test_temperature_biases_and_norms_are_not_decayed(small_recipe: Recipe, small_loader: Loader):
    decayed, spared = fresh(small_recipe, small_loader).optimizer.param_groups
    assert decayed["weight_decay"] == 0.01
    assert spared["weight_decay"] == 0.0
    assert min(weight.ndim for weight in decayed["params"]) == 2
    assert max(weight.ndim for weight in spared["params"]) == 1


def test_every_weight_is_trained(small_recipe: Recipe, small_loader: Loader):
    state = fresh(small_recipe, small_loader)
    before = {name: weight.detach().clone() for name, weight in state.model.named_parameters()}
    for _, batch in zip(range(3), small_loader.batches(start=0), strict=False):
        train_step(state, batch)
    still = [
        name for name, weight in state.model.named_parameters() if torch.equal(weight, before[name])
    ]
    assert still == []


def test_the_optimiser_has_its_betas_in_order_and_its_first_step_the_first_rate(
    small_recipe: Recipe, small_loader: Loader
):
    state = fresh(small_recipe, small_loader)
    assert state.optimizer.defaults["betas"] == (0.9, 0.98)
    row = train_step(state, next(small_loader.batches(start=0)))
    # A tenth of 36 steps is 4: the first has a quarter of 0.002.
    assert row["train/learning_rate"] == pytest.approx(0.0005)


def test_patience_goes_on_where_a_run_is_taken_up(
    tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    state = fresh(small_recipe.replace({"optim.patience": 2}), small_loader)
    for value in (0.3, 0.2):
        state.step += 18
        state.select({"val/recall_mean": value})
    folder = saved(state, tmp_path, keep=1)
    again = checkpoint.restore(fresh(state.recipe, small_loader), folder)
    assert (again.stale, again.best) == (1, {"step": 18.0, "value": 0.3})
    again.select({"val/recall_mean": 0.2})
    assert again.is_done


def test_what_is_recorded_of_the_models_is_their_validation(whole_run: Path):
    result = RunResult.read(whole_run)
    models = [row for row in result.rows if row["event"] == "model"]
    assert models[-1]["which"] == "final"
    for row in models:
        found = result.metrics_at(row["step"], "val/")
        assert row["about"]["val_loss"] == found["val/total_loss"]
        wanted = 0.7 * found["val/clip_loss"] + 0.3 * found["val/mlm_loss"]
        assert found["val/total_loss"] == pytest.approx(wanted)


def test_the_rate_rises_for_a_tenth_and_falls_to_nothing():
    config = Recipe().optim
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[9] == rates[10] == pytest.approx(2e-4)
    assert rates[55] == pytest.approx(1e-4)
    assert rates[99] == pytest.approx(0.0, abs=1e-7)


def test_the_test_days_are_judged_once_and_the_answer_is_kept(copied: Path, small_set: PreparedSet):
    verdict = evaluate(TrainedRun.open(copied)).verdict
    assert verdict.caveats == ("SIMULATED home",)
    assert verdict.columns["trained"]["test/gallery"] == small_set.manifest["windows"]["test"]
    assert (
        verdict.columns["trained"]["test/recall_mean"]
        > verdict.columns["untrained"]["test/recall_mean"]
    )
    assert recorded_verdict(copied) == verdict
    again = evaluate(TrainedRun.open(copied)).verdict
    assert again == verdict


@pytest.mark.faults
def test_out_of_memory_says_what_to_lower(small_recipe: Recipe, tmp_path: Path):
    def full() -> Loader:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(AllFailed) as caught:
        train_to_the_end(RunRecorder(FolderStore(tmp_path)), small_recipe, full)
    assert "out of memory with 32 pairs in 1 piece(s)" in caught.value.problem
    assert "optim.pieces" in caught.value.hint
    assert "out of memory with 32 pairs" in RunResult.read(tmp_path).error


def test_a_pickled_file_is_never_opened(tmp_path: Path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(DataError, match="is a file; wanted the folder of a run"):
        checkpoints.best(tmp_path / "model.pt")
