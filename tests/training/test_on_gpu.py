"""What only a GPU can show: its numbers, losses, compiled parts, CUDA graphs and resumes are those
of the host or of the plain way."""

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training import saved

from casas_ray.config import SIZES, Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.evals.features.learned import pooled
from casas_ray.loader import philox
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader
from casas_ray.loader.streams import RandomStreams, Stream
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore
from casas_ray.training import checkpoint
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder
from casas_ray.training.step import TrainState, train_step
from casas_ray.training.validation import validate

if not torch.cuda.is_available():
    pytest.skip("no GPU is at hand: nothing of this file was tested", allow_module_level=True)

GPU, CPU = torch.device("cuda"), torch.device("cpu")
TEXT_SIZE = 384
BY_LENGTH: dict[str, object] = {
    "data.simulated": True,
    "data.simulate.days": 4,
    "optim.batch_size": 96,
    "optim.epochs": 3,
    "optim.learning_rate": 0.001,
    **{f"model.{name}": value for name, value in SIZES["tiny"].items()},
}
BY_TIME = {**BY_LENGTH, "data.windows.kind": "fixed_duration", "data.windows.seconds": 120.0}
RECIPE = Recipe(name="gpu").replace(BY_LENGTH)
SETTINGS: dict[str, dict[str, object]] = {
    "plain": {},
    "pieces": {"optim.pieces": 3},
    "rotary": {"model.positions": "rotary"},
    "learned": {"model.positions": "learned"},
    "attention": {"model.pooling": "attention"},
    "mlp": {"model.projection": "mlp"},
    "sensor_text": {"model.sensor_text": True},
    "fields": {"model.fields": ("sensor", "room", "gap")},
    "sigmoid": {"loss.kind": "sigmoid"},
    "focal": {"loss.kind": "focal"},
    "ignored": {"loss.duplicates": "ignored"},
    "soft": {"loss.soft_targets": 0.3},
    "bank": {"loss.bank_size": 160, "loss.bank_hardest": 8},
    "hide": {"masking.hide.sensor": 0.8, "masking.hide.state": 0.3, "masking.blackout": 0.2},
    "bert": {"masking.swap": 0.1, "masking.keep": 0.1},
    "ema": {"optim.ema_decay": 0.9},
    "no dropout": {"model.dropout": 0.0},
}

PLAIN_WHEN_COMPILED = ("focal", "soft", "ema")
"""What changes nothing of what is compiled, or little."""


@pytest.fixture(autouse=True)
def nothing_compiled_before() -> None:
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def by_length() -> PreparedSet:
    return prepare(RECIPE.data, logs_for(RECIPE.data))


@pytest.fixture(scope="module")
def by_time() -> PreparedSet:
    data = Recipe().replace(BY_TIME).data
    return prepare(data, logs_for(data))


def loader_of(prepared: PreparedSet, recipe: Recipe, device: torch.device) -> Loader:
    count = len(prepared.captions())
    vectors = np.random.default_rng(0).standard_normal((count, TEXT_SIZE), dtype=np.float32)
    return TrainingData(prepared, vectors).loader(recipe, device)


def state_of(recipe: Recipe, loader: Loader) -> TrainState:
    return TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=TEXT_SIZE,
        steps_per_epoch=loader.sampler.steps_per_epoch,
        device=loader.device,
        about=loader.facts.about,
    )


def steps_of(state: TrainState, batches: Iterator[Batch], steps: int) -> list[float]:
    found = [train_step(state, next(batches))["train/total_loss"] for _ in range(steps)]
    return [float(loss) for loss in found]


def losses_of(
    prepared: PreparedSet, recipe: Recipe, steps: int, device: torch.device = GPU
) -> list[float]:
    loader = loader_of(prepared, recipe, device)
    return steps_of(state_of(recipe, loader), loader.batches(start=0), steps)


@pytest.mark.parametrize("words", [philox.blocks, philox.compiled()], ids=["eager", "compiled"])
@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**62 + 1])
@pytest.mark.parametrize(("step", "row"), [(0, 0), (1, 32), (2**40, 10**9)])
def test_a_gpu_draws_what_the_host_draws(words: Callable, seed: int, step: int, row: int):
    for rows, width in ((3, 1), (5, 90), (64, 21 * 192)):
        streams = RandomStreams(seed, step, row, rows)
        on_host = np.stack([streams.octets(Stream.DROPOUT + use, width) for use in range(3)])
        found = streams.octets_on(GPU, 3, width, words)
        assert (found.cpu().numpy() == on_host).all()


@pytest.mark.parametrize("dropout", [0.001, 0.1, 0.3, 0.9])
def test_dropout_keeps_on_a_gpu_what_it_keeps_on_the_host(dropout: float):
    for rows, width in ((128, 21 * 192), (7, 51 * 512)):
        streams = RandomStreams(3, 17, 64, rows)
        on_gpu, on_host = (
            streams.kept(5, width, dropout=dropout, device=one) for one in (GPU, CPU)
        )
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), on_host)


def tensors_of(batch: Batch) -> dict[str, torch.Tensor]:
    found = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("kind", ["by_length", "by_time"])
def test_batches_made_ahead_are_the_hosts_while_the_gpu_is_busy(
    kind: str, request: pytest.FixtureRequest
):
    """Copies wait behind long products while their pinned memory is let go and asked for anew."""
    prepared = request.getfixturevalue(kind)
    changes = {**(BY_TIME if kind == "by_time" else BY_LENGTH), **SETTINGS["hide"]}
    recipe = Recipe().replace({**changes, **SETTINGS["bert"]})
    side = torch.randn(4096, 4096, device=GPU)
    ours = loader_of(prepared, recipe, GPU).batches(start=0)
    theirs = loader_of(prepared, recipe, CPU).batches(start=0)
    found = []
    for batch in itertools.islice(ours, 60):
        for _ in range(4):
            side = (side @ side).clamp(-1.0, 1.0)
        found.append(tensors_of(batch))
    for on_gpu, batch in zip(found, theirs, strict=False):
        wanted = tensors_of(batch)
        assert on_gpu.keys() == wanted.keys()
        for name, value in wanted.items():
            same = torch.equal(on_gpu[name].cpu().nan_to_num(-9.0), value.nan_to_num(-9.0))
            assert same, name


def test_thirty_steps_have_the_losses_of_the_host(by_length: PreparedSet):
    found = [losses_of(by_length, RECIPE, 30, device) for device in (GPU, CPU)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0][-1] < found[0][0]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_the_losses_of_the_host(name: str, by_length: PreparedSet):
    recipe = RECIPE.replace(SETTINGS[name])
    found = [losses_of(by_length, recipe, 5, device) for device in (GPU, CPU)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_windows_of_unlike_length_have_the_losses_of_the_host(by_time: PreparedSet):
    recipe = Recipe().replace(BY_TIME)
    found = [losses_of(by_time, recipe, 8, device) for device in (GPU, CPU)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
@pytest.mark.parametrize("how", ["off", "on", "cuda_graphs"])
def test_bf16_learns_and_stays_near_fp32(precision: str, how: str, by_length: PreparedSet):
    recipe = RECIPE.replace({"optim.precision": precision, "optim.compile": how})
    found, plain = losses_of(by_length, recipe, 20), losses_of(by_length, RECIPE, 20)
    assert np.isfinite(found).all()
    assert found != plain
    assert found == pytest.approx(plain, rel=0.02)


@pytest.mark.parametrize("how", ["on", "cuda_graphs"])
@pytest.mark.parametrize(
    "name", [name for name in SETTINGS if name not in ("focal", "soft", "ema")]
)
def test_compiled_parts_have_the_losses_of_eager_ones(how: str, name: str, by_length: PreparedSet):
    recipe = RECIPE.replace(SETTINGS[name])
    found = losses_of(by_length, recipe.replace({"optim.compile": how}), 12)
    assert found == pytest.approx(losses_of(by_length, recipe, 12), rel=1e-4)


def gradients_of(prepared: PreparedSet, recipe: Recipe) -> dict[str, torch.Tensor]:
    loader = loader_of(prepared, recipe, GPU)
    state, batches = state_of(recipe, loader), loader.batches(start=0)
    steps_of(state, batches, 3)
    return {n: w.grad.clone() for n, w in state.model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_cuda_graphs_have_the_gradients_of_the_plain_way(pieces: int, by_length: PreparedSet):
    """96 pairs in 5 pieces: the last piece is smaller."""
    recipe = RECIPE.replace({"optim.pieces": pieces, "optim.learning_rate": 1e-12})
    wanted = gradients_of(by_length, recipe)
    found = gradients_of(by_length, recipe.replace({"optim.compile": "cuda_graphs"}))
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        assert (found[name] - grad).norm() <= 1e-3 * grad.norm() + 1e-6, name


@pytest.mark.parametrize("how", ["off", "on", "cuda_graphs"])
def test_a_whole_run_with_its_validations_is_the_eager_one(
    how: str, by_length: PreparedSet, tmp_path: Path
):
    recipe = RECIPE.replace({"optim.validate_every": 7, "optim.compile": how})
    plain = recipe.replace({"optim.compile": "off"})
    results = []
    for place, one in enumerate((recipe, plain)):
        train(
            RunRecorder(FolderStore(tmp_path / str(place)), log_every=3),
            one,
            loader_of(by_length, one, GPU),
        )
        results.append(RunResult.read(tmp_path / str(place)))
    for name in ("train/total_loss", "train/gradient_norm", "val/total_loss", "val/mlm_loss"):
        found, wanted = (
            [row["metrics"][name] for row in result.rows if name in row.get("metrics", {})]
            for result in results
        )
        assert len(found) > 5
        assert found == pytest.approx(wanted, rel=1e-3 if "gradient" in name else 2e-4)
    assert [result.status for result in results] == ["finished", "finished"]


@pytest.mark.parametrize("how", ["off", "on"])
def test_windows_of_unlike_length_are_compiled_a_few_times_only(
    how: str, by_time: PreparedSet, tmp_path: Path
):
    recipe = Recipe().replace({**BY_TIME, "optim.validate_every": 10, "optim.compile": how})
    loader = loader_of(by_time, recipe, GPU)
    torch._dynamo.utils.counters.clear()
    train(RunRecorder(FolderStore(tmp_path), log_every=1), recipe, loader)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 8
    assert not torch._dynamo.utils.counters["recompile_limit"]
    found = [
        row["metrics"]["train/total_loss"]
        for row in RunResult.read(tmp_path).rows
        if "train/total_loss" in row.get("metrics", {})
    ]
    plain = losses_of(by_time, recipe.replace({"optim.compile": "off"}), 12)
    assert found[:12] == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("name", ["plain", "bank", "ema", "bf16", "on", "cuda_graphs"])
def test_a_run_taken_up_again_has_the_losses_of_the_one_that_went_on(
    name: str, by_length: PreparedSet, tmp_path: Path
):
    further = {"bf16": {"optim.precision": "bf16"}}
    further |= {how: {"optim.compile": how} for how in ("on", "cuda_graphs")}
    recipe = RECIPE.replace({**SETTINGS, **further}[name])
    loader = loader_of(by_length, recipe, GPU)
    state, batches = state_of(recipe, loader), loader.batches(start=0)
    steps_of(state, batches, 4)
    folder = saved(state, tmp_path, keep=1)
    wanted = steps_of(state, batches, 6)
    again = checkpoint.restore(state_of(recipe, loader), folder)
    found = steps_of(again, loader.batches(start=4), 6)
    assert found == wanted


def test_validation_and_probed_vectors_are_the_hosts(by_length: PreparedSet):
    for name in ("plain", "sensor_text", "rotary"):
        recipe = RECIPE.replace(SETTINGS[name])
        metrics, vectors = [], []
        for device in (GPU, CPU):
            loader = loader_of(by_length, recipe, device)
            state, texts = state_of(recipe, loader), loader.vectors_NT
            metrics.append(validate(state.eval_model, loader=loader, recipe=recipe))
            vectors.append(pooled(state.eval_model, by_length.windows("val"), texts))
        for key, value in metrics[1].items():
            assert metrics[0][key] == pytest.approx(value, rel=2e-3, abs=2e-3), key
        np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-3, atol=1e-4)


def waits_of(work: Callable[[], object]) -> list[str]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [f"{one.filename}:{one.lineno}" for one in caught if "synchroniz" in str(one.message)]


@pytest.mark.parametrize("name", ["plain", "bank", "ema", "hide", "soft", "rotary"])
def test_a_step_waits_for_the_gpu_once(name: str, by_length: PreparedSet):
    """For the check that the loss is finite; and a batch made ahead never does."""
    recipe = RECIPE.replace(SETTINGS[name])
    loader = loader_of(by_length, recipe, GPU)
    state, batches = state_of(recipe, loader), loader.batches(start=0)
    steps_of(state, batches, 3)
    batch = next(batches)
    waits = waits_of(lambda: train_step(state, batch))
    assert len(waits) == 1, waits
    made = loader._on_demand(0)
    next(made)
    assert waits_of(lambda: next(made)) == []
