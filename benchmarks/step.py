"""Our train step beside the matmul limit of the same threads and beside the reference step."""

# N captions and descriptions of the set, T width of a text vector

import functools
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.reference import ReferenceStep
from casas_ray.config import SIZES as NAMED
from casas_ray.config import DataConfig, Recipe
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.loader.counted import OFFSETS
from casas_ray.loader.loader import Loader
from casas_ray.loader.sampler import LengthBucketSampler
from casas_ray.loader.training_data import TrainingData
from casas_ray.training.memory import keep_freed
from casas_ray.training.step import TrainState, train_step
from casas_ray.training.timer import StepTimer

SIZES: dict[str, dict[str, object]] = {
    size: {f"model.{name}": value for name, value in changes.items()}
    for size, changes in NAMED.items()
}
TEXT_SIZE = 384
_SECONDS, _GPU_SECONDS = 6.0, 1.5


def seconds_each(
    work: Callable[[], object], *, seconds: float = _SECONDS, warm_up: int = 2, least: int = 3
) -> float:
    """The median time of a call, of `least` or more, after some to warm up."""
    for _ in range(warm_up):
        work()
    times, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < least:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matmul_rate(*, seconds: float = 1.0) -> float:
    """FLOP/s of the best of some fp32 products of the sizes that the step has."""
    rates = []
    for rows, inner, columns in ((2688, 192, 768), (2688, 512, 2048), (2048, 2048, 2048)):
        left, right = torch.randn(rows, inner), torch.randn(inner, columns)
        each = seconds_each(functools.partial(torch.matmul, left, right), seconds=seconds)
        rates.append(2.0 * rows * inner * columns / each)
    return max(rates)


def needed_flops(recipe: Recipe, loader: Loader) -> float:
    """FLOPs that a step cannot do without: forward, twice that backward, on real tokens and masked
    events."""
    model, batch, context = recipe.model, recipe.optim.batch_size, recipe.data.context
    windows, together = recipe.data.windows, recipe.data.context.windows
    own = windows.length + (together - 1) * windows.stride
    events = own + context.before + context.after
    tokens = events + 1
    # A causal encoder needs half of the scores.
    scores = (2 if context.side == "past" else 4) * tokens * model.width
    layer = 8 * model.width**2 + 4 * model.width * model.feed_forward + scores
    masked = round(recipe.masking.share * own)
    per_run = (
        tokens * model.layers * layer
        + events * 2 * 4 * model.fourier_bands * model.width
        + masked * 2 * model.width * sum(loader.facts.sizes().values())
    )
    per_sample = (
        per_run / together
        + 2 * model.embedding * (model.width + TEXT_SIZE)
        + 2 * 2 * batch * model.embedding
        + _counting(recipe, loader.facts.about.get("aggregates", 0))
    )
    return 3.0 * batch * per_sample


def _counting(recipe: Recipe, aggregates: int) -> float:
    """FLOPs of the heads for what is counted of a window and of its neighbours, one way."""
    width, flops = recipe.model.width, 0.0
    if recipe.loss.aggregates_weight:
        flops += 2 * width * aggregates
    if recipe.loss.neighbours_weight:
        flops += 2 * width * 2 * width + 2 * 2 * width * len(OFFSETS) * aggregates
    return flops


def loader_of(recipe: Recipe, device: torch.device | None = None) -> Loader:
    """A loader of a recipe's windows with random caption vectors: the text tower is no part of a
    step."""
    prepared = prepare(recipe.data, logs_for(recipe.data))
    count = len(prepared.captions())
    vectors_NT = np.random.default_rng(0).standard_normal((count, TEXT_SIZE), dtype=np.float32)
    return TrainingData(prepared, vectors_NT).loader(recipe, device or torch.device("cpu"))


def fresh_state(recipe: Recipe, loader: Loader) -> TrainState:
    """A state whose schedule does not end while we measure."""
    return TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=TEXT_SIZE,
        steps_per_epoch=10**6,
        device=loader.device,
        about=loader.facts.about,
    )


def our_step(
    recipe: Recipe, loader: Loader, timer: StepTimer | None = None
) -> Callable[[], object]:
    """A call that draws the next batch and trains on it; a timer measures what it waits."""
    state = fresh_state(recipe, loader)
    batches = (timer or StepTimer()).timed(loader.batches(start=0))
    return lambda: train_step(state, next(batches))


def recipe_of(size: str, events: int, batch: int, **changes: object) -> Recipe:
    """A named size on simulated windows of so many events."""
    days = 30 if batch > 128 else 10
    data = {"data.simulated": True, "data.simulate.days": days, "data.windows.length": events}
    return Recipe().replace({**SIZES[size], **data, "optim.batch_size": batch, **changes})


@functools.cache
def bf16_rate() -> float:
    """FLOP/s of a large bf16 product on the GPU."""
    square = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    each = seconds_each(lambda: (square @ square, torch.cuda.synchronize()), seconds=2.0)
    return 2 * 8192**3 / each


def measure_on_gpu(size: str, events: int, batch: int, how: str) -> dict[str, float]:
    """samples/s on a GPU in bf16, the share of the rate of a large bf16 product there, the share of
    a step that its batch is waited for, and peak memory; `how` is eager, compiled or cuda_graphs.
    """
    device, rate = torch.device("cuda"), bf16_rate()
    # Each setting has shapes compiled for it and memory of its own, as in a process of its own.
    torch.compiler.reset()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    keep_freed()  # as a training does; without it batches seem to be waited for
    kind = {"eager": "off", "compiled": "on"}.get(how, how)
    recipe = recipe_of(size, events, batch, **{"optim.precision": "bf16", "optim.compile": kind})
    loader = loader_of(recipe, device)
    timer = StepTimer()
    step = our_step(recipe, loader, timer)
    # Work on a GPU is only queued by the call; without synchronize we would time the queueing.
    seconds_each(lambda: (step(), torch.cuda.synchronize()), seconds=0.5, warm_up=4)
    timer.waited_seconds()
    began = time.perf_counter()
    ours = seconds_each(lambda: (step(), torch.cuda.synchronize()), seconds=_GPU_SECONDS)
    return {
        "samples/s": batch / ours,
        "share of bf16 matmul": needed_flops(recipe, loader) / ours / rate,
        "data wait": timer.waited_seconds() / (time.perf_counter() - began),
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30,
    }


class Reference:
    """The reference step in a process of its own, with the allocator as it comes: `keep_freed`
    speeds up ours and would speed up this one too."""

    def __init__(self, size: str, events: int, batch: int) -> None:
        code = "from benchmarks import step; step.answer(*__import__('sys').argv[1:])"
        words = [sys.executable, "-c", code, size, str(events), str(batch)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self) -> float:
        """Seconds of one step, taken now."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def answer(size: str, events: str, batch: str) -> None:
    """Print, for each line that comes in, the seconds of one reference step."""
    torch.set_num_threads(1)
    recipe = recipe_of(size, int(events), int(batch))
    step = ReferenceStep(recipe, loader_of(recipe))
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def measure(size: str, events: int, *, batch: int = 128, rounds: int = 6) -> dict[str, float]:
    """samples/s, share of the matmul rate and the ratio to the reference step, taken in turn: each
    round has its own three numbers, and the median of their ratios counts."""
    keep_freed()
    recipe = recipe_of(size, events, batch)
    loader = loader_of(recipe)
    needed, step = needed_flops(recipe, loader), our_step(recipe, loader)
    reference = Reference(size, events, batch)
    reference.seconds()
    step()
    rows = []
    for _ in range(rounds):
        # Around the two steps, for the rate of a shared machine drifts within minutes.
        before = matmul_rate(seconds=0.3)
        ours = seconds_each(step, seconds=1.0, warm_up=0, least=1)
        theirs, after = reference.seconds(), matmul_rate(seconds=0.3)
        rows.append((batch / ours, needed / ours / max(before, after), theirs / ours))
    reference.close()
    names = ("samples/s", "share of matmul", "times the reference")
    return dict(zip(names, np.median(rows, axis=0).tolist(), strict=True))


def measure_recipe(recipe: Recipe, *, rounds: int = 6) -> dict[str, float]:
    """samples/s and the share of the matmul rate of a recipe of which there is no reference."""
    keep_freed()
    days = {"data.simulated": True, "data.simulate.days": 10, "data.homes": ("milan",)}
    recipe = recipe.replace(days)
    loader = loader_of(recipe)
    needed, step = needed_flops(recipe, loader), our_step(recipe, loader)
    step()
    rows = []
    for _ in range(rounds):
        before = matmul_rate(seconds=0.3)
        ours = seconds_each(step, seconds=1.0, warm_up=0, least=1)
        rate = max(before, matmul_rate(seconds=0.3))
        rows.append((recipe.optim.batch_size / ours, needed / ours / rate))
    names = ("samples/s", "share of matmul")
    return dict(zip(names, np.median(rows, axis=0).tolist(), strict=True))


def padding(kind: dict[str, object], batch: int, source: DataConfig) -> dict[str, float]:
    """For windows of unlike length: the share of a batch's `places` that hold no event, and the
    share of the encoder's arithmetic that is done on them (tiny, which has the most of it)."""
    recipe = Recipe(data=source).replace({**SIZES["tiny"], **kind, "optim.batch_size": batch})
    prepared = prepare(recipe.data, logs_for(recipe.data))
    sampler = LengthBucketSampler(prepared.lengths("train"), batch, recipe.seed)
    tokens, spread = sampler.tokens(0)
    width, hidden = recipe.model.width, recipe.model.feed_forward
    linear = (8 * width**2 + 4 * width * hidden) * tokens.sum()
    needed, done = (linear + 4 * width * (counts**2).sum() for counts in (tokens, spread))
    return {"places": sampler.padding(0), "arithmetic": float(1.0 - needed / done)}
