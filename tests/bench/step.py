"""Our train step beside the matmul limit of the same threads and beside the reference step."""

import functools
import time
from collections.abc import Callable

import numpy as np
import torch

from casas_ray.config import SIZES as NAMED
from casas_ray.config import Recipe
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.model.feed import Shards
from casas_ray.model.step import TrainState, train_step
from tests.bench.reference import ReferenceStep

SIZES: dict[str, dict[str, object]] = {
    size: {f"model.{name}": value for name, value in changes.items()}
    for size, changes in NAMED.items()
}
TEXT_SIZE = 384
_SECONDS = 6.0


def seconds_each(work: Callable[[], object], *, seconds: float = _SECONDS) -> float:
    """The median time of a call, after two to warm up."""
    work()
    work()
    times, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matmul_rate() -> float:
    """FLOP/s of the best of some fp32 products of the sizes that the step has."""
    rates = []
    for rows, inner, columns in ((2688, 192, 768), (2688, 512, 2048), (2048, 2048, 2048)):
        left, right = torch.randn(rows, inner), torch.randn(inner, columns)
        seconds = seconds_each(functools.partial(torch.matmul, left, right), seconds=1.0)
        rates.append(2.0 * rows * inner * columns / seconds)
    return max(rates)


def needed_flops(recipe: Recipe, shards: Shards) -> float:
    """Arithmetic of a step: forward, twice that backward, on real tokens and masked events."""
    model, batch = recipe.model, recipe.optim.batch_size
    events = recipe.data.windows.length
    tokens = events + 1
    layer = 8 * model.width**2 + 4 * model.width * model.feed_forward + 4 * tokens * model.width
    masked = round(recipe.masking.share * events)
    per_sample = (
        tokens * model.layers * layer
        + events * 2 * 4 * model.fourier_bands * model.width
        + masked * 2 * model.width * sum(shards.source.sizes().values())
        + 2 * model.embedding * (model.width + TEXT_SIZE)
        + 2 * 2 * batch * model.embedding
    )
    return 3.0 * batch * per_sample


def shards_of(recipe: Recipe, device: torch.device | None = None) -> Shards:
    """Simulated windows with random caption vectors: the text tower is not part of a step."""
    prepared = prepare(recipe.data, logs_for(recipe.data))
    count = len(prepared.captions())
    vectors = np.random.default_rng(0).standard_normal((count, TEXT_SIZE), dtype=np.float32)
    return Shards.whole(prepared, recipe, vectors, device or torch.device("cpu"))


def our_step(recipe: Recipe, shards: Shards) -> Callable[[], object]:
    """A call that draws the next batch and trains on it."""
    state = TrainState.fresh(
        recipe,
        sizes=shards.source.sizes(),
        text_size=TEXT_SIZE,
        steps_per_epoch=shards.train.lanes.steps_per_epoch,
        device=shards.device,
        about={},
    )
    state.steps_per_epoch = 10**6  # the schedule must not end while we measure
    batches = shards.train.batches(start=0)
    return lambda: train_step(state, next(batches))


def measure_on_gpu(size: str, events: int, batch: int) -> dict[str, float]:
    """samples/s on a GPU in bf16, and the share of the rate of a large bf16 product there."""
    device = torch.device("cuda")
    recipe = Recipe().replace(
        {
            **SIZES[size],
            "data.simulated": True,
            "data.simulate.days": 30,
            "data.windows.length": events,
            "optim.batch_size": batch,
            "optim.precision": "bf16",
        }
    )
    shards = shards_of(recipe, device)
    side = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    product = seconds_each(lambda: (side @ side, torch.cuda.synchronize()))
    step = our_step(recipe, shards)
    ours = seconds_each(lambda: (step(), torch.cuda.synchronize()))
    return {
        "samples/s": batch / ours,
        "share of bf16 matmul": needed_flops(recipe, shards) / ours / (2 * 8192**3 / product),
    }


def measure(size: str, events: int, *, with_reference: bool = True) -> dict[str, float]:
    """samples/s, share of the matmul rate and, when asked, the ratio to the reference step."""
    recipe = Recipe().replace(
        {
            **SIZES[size],
            "data.simulated": True,
            "data.simulate.days": 10,
            "data.windows.length": events,
            "optim.batch_size": 128,
        }
    )
    shards = shards_of(recipe)
    rate = matmul_rate()
    ours = seconds_each(our_step(recipe, shards))
    found = {
        "samples/s": recipe.optim.batch_size / ours,
        "GFLOP/s": needed_flops(recipe, shards) / ours / 1e9,
        "matmul GFLOP/s": rate / 1e9,
        "share of matmul": needed_flops(recipe, shards) / ours / rate,
    }
    if with_reference:
        found["times the reference"] = seconds_each(ReferenceStep(recipe, shards)) / ours
    return found
