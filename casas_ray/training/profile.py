"""Where the time of a training goes: a few steps under torch's profiler, and nothing trained."""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from casas_ray.config import Machine, Recipe
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.own_folder import own
from casas_ray.training.local import prepare_process
from casas_ray.training.step import TrainState, train_step
from casas_ray.training.timer import StepTimer

WARM_UP, STEPS = 3, 12
_ROWS = 12


@dataclass(frozen=True)
class Profile:
    """What a few steps took: time, memory, and the operations that took most."""

    trace: Path
    """For chrome://tracing or Perfetto."""

    step_ms: float
    samples_per_s: float
    first_step_s: float
    """From nothing to the end of the first step; data and vectors were at hand."""

    data_wait_share: float
    peak_memory_mib: float
    """Of the process, and of the device where it is a GPU, whichever is more."""

    operations: list[tuple[str, float, int]]
    """The costliest: name, share of the time, calls a step."""


def profile(
    folder: Path,
    recipe: Recipe,
    machine: Machine,
    data: TrainingData,
) -> Profile:
    """What a few steps of a fresh state take in this process; `profile/trace.json` in the folder
    has all of it.

    Raises:
        SettingsError: the device lacks what the recipe asks for.
    """
    device = torch.device("cuda" if machine.gpus_per_worker else "cpu")
    prepare_process(machine)
    began = time.perf_counter()
    loader = data.loader(recipe, device)
    state = _fresh_state(recipe, loader)
    timer = StepTimer()
    batches = timer.timed(loader.batches(start=0))
    train_step(state, next(batches))
    first = time.perf_counter() - began
    for _ in range(WARM_UP):
        train_step(state, next(batches))
    timer.waited_seconds()  # asked to forget the warm-up
    profiler, seconds = _profiled(state, batches, device)
    trace = folder / "profile" / "trace.json"
    own(folder)
    trace.parent.mkdir(exist_ok=True)
    profiler.export_chrome_trace(str(trace))
    return Profile(
        trace=trace,
        step_ms=1000.0 * seconds / STEPS,
        samples_per_s=STEPS * recipe.optim.batch_size / seconds,
        first_step_s=first,
        data_wait_share=timer.waited_seconds() / seconds,
        peak_memory_mib=_peak_mib(device),
        operations=_operations(profiler, device),
    )


def _fresh_state(recipe: Recipe, loader: Loader) -> TrainState:
    return TrainState.fresh(
        recipe,
        sizes=loader.facts.sizes(),
        text_size=loader.vectors_NT.shape[1],
        # More steps than are measured, or the schedule would be over before they are.
        steps_per_epoch=max(loader.sampler.steps_per_epoch, WARM_UP + STEPS + 1),
        device=loader.device,
        about={},
    )


def _profiled(
    state: TrainState, batches: Iterator[Batch], device: torch.device
) -> tuple[torch.profiler.profile, float]:
    """The profiler after STEPS steps, and the seconds that they took."""
    activities = [ProfilerActivity.CPU]
    activities += [ProfilerActivity.CUDA] if device.type == "cuda" else []
    start = time.perf_counter()
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(STEPS):
            train_step(state, next(batches))
    return profiler, time.perf_counter() - start


def _peak_mib(device: torch.device) -> float:
    # Linux counts KiB here, macOS bytes.
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return max(host, torch.cuda.max_memory_allocated() / 2**20) if device.type == "cuda" else host


def _operations(
    profiler: torch.profiler.profile, device: torch.device
) -> list[tuple[str, float, int]]:
    name = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    rows = sorted(profiler.key_averages(), key=lambda row: -getattr(row, name))
    total = sum(getattr(row, name) for row in rows) or 1.0
    return [(row.key, getattr(row, name) / total, row.count // STEPS) for row in rows[:_ROWS]]
