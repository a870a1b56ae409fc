"""What tracking costs a training: steps with ten logs a second, W&B listening, beside steps without
any."""

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.step import fresh_state, loader_of, recipe_of
from casas_ray.config import Tracking
from casas_ray.records.follow import Follower
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_store import FolderStore
from casas_ray.tracking.wandb_mirror import WandbMirror
from casas_ray.training.memory import keep_freed
from casas_ray.training.recorder import RunRecorder
from casas_ray.training.step import train_step

LOGS_PER_SECOND = 10.0
_SECONDS, _ROUNDS = 4.0, 6


def cost() -> dict[str, float]:
    """The share of a tiny step that ten logs a second cost, and the milliseconds that one log holds
    the training up.

    W&B's mirror is a thread of the same process, which is the worst case: as a rule it listens in
    the driver, and training is in workers.
    """
    keep_freed()
    recipe = recipe_of("tiny", 20, 32)
    loader = loader_of(recipe)
    state, batches = fresh_state(recipe, loader), loader.batches(start=0)
    held: list[float] = []
    ratios = []
    # With and without in turn, for the machine's own rate drifts by more than what is measured.
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(_ROUNDS):
            record = RunRecord("bench", Path(folder) / str(turn), recipe, Tracking(mode="offline"))
            recorder = RunRecorder(FolderStore(record.folder))

            def step(log: bool, recorder: RunRecorder = recorder) -> None:
                metrics = train_step(state, next(batches), in_detail=log)
                if log:
                    start = time.perf_counter()
                    recorder.report_training(state.step, metrics, batch_size=32)
                    held.append(time.perf_counter() - start)

            silent = _pace(step, logs=False)
            with Follower([record.folder], [WandbMirror([record])]):
                recorder.begin(state, {"total_steps": 1})
                time.sleep(2.0)  # W&B's own start is no part of a step
                ratios.append(_pace(step, logs=True) / silent - 1.0)
                recorder.end("finished")
    return {"cost of a step, %": 100 * float(np.median(ratios)), "ms a log": 1e3 * np.median(held)}


def _pace(step: Callable[[bool], None], *, logs: bool) -> float:
    """Seconds a step takes, with or without ten logs a second."""
    began = last = time.perf_counter()
    for done in itertools.count(1):
        now = time.perf_counter()
        due = logs and now - last >= 1.0 / LOGS_PER_SECOND
        last = now if due else last
        step(due)
        if time.perf_counter() - began >= _SECONDS:
            return (time.perf_counter() - began) / done
    raise AssertionError
