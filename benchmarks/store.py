"""What goes through the recorder: rows and checkpoints of one worker, beside writing them here."""

import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.step import fresh_state, loader_of, recipe_of
from casas_ray.records.checkpoint_files import FILES
from casas_ray.records.ledger import new_row
from casas_ray.records.rows import Row
from casas_ray.records.run_result import checkpoint_folder
from casas_ray.records.run_store import Fill, FolderStore, RunStore
from casas_ray.run.environment import prepare_environment
from casas_ray.training import checkpoint
from casas_ray.training.step import train_step

_ROWS, _ROUNDS = 4_000, 3


def figures() -> dict[str, float]:
    """Rows and megabytes a second, through the recorder and written here; medians of three rounds.

    The checkpoint is one of the published size; its time is all that a training waits for.
    """
    prepare_environment()
    import ray

    from casas_ray.run.recorder import start_recorder
    from casas_ray.run.remote_store import RemoteStore

    # Ray gives its workers a lower priority than all else that runs; here they have the same.
    os.environ.setdefault("RAY_worker_niceness", "0")
    fill = functools.partial(checkpoint.write, _trained())
    with tempfile.TemporaryDirectory() as folder:
        run, here = Path(folder) / "run", FolderStore(Path(folder) / "here")
        ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
        try:
            recorder = start_recorder(Path(folder))
            remote = RemoteStore(recorder, run, writes=True)
            return {
                "rows/s through the recorder": _median(lambda: _rows_per_s(remote)),
                "rows/s a core of the recorder": _rows_a_core(remote, recorder),
                "rows/s here": _median(lambda: _rows_per_s(here)),
                "ms a row holds a training up": _median(lambda: _ms_a_row(remote)),
                "ms a row here": _median(lambda: _ms_a_row(here)),
                "MB/s saved through the recorder": _median(lambda: _saved(remote, run, fill)),
                "MB/s a core of the recorder": _mb_a_core(remote, recorder, run, fill),
                "MB/s saved here": _median(lambda: _saved(here, here.folder, fill)),
                "MB/s read back through it": _median(lambda: _read(remote)),
            }
        finally:
            ray.shutdown()


def _median(measure: Callable[[], float]) -> float:
    return float(np.median([measure() for _ in range(_ROUNDS)]))


def _trained() -> Any:  # Any: the state of a training, as benchmarks.step makes it
    recipe = recipe_of("baseline", 20, 8)
    loader = loader_of(recipe)
    state = fresh_state(recipe, loader)
    state.about = dict(loader.facts.about)
    train_step(state, next(loader.batches(start=0)))  # its optimiser has moments now
    return state


def _row(step: int) -> Row:
    """A row as a training writes it every 50 steps."""
    metrics = {f"train/metric_{index}": step * 1.000001 for index in range(16)}
    return new_row("metrics", step, metrics=metrics)


def _rows_per_s(store: RunStore) -> float:
    began = time.perf_counter()
    for step in range(_ROWS):
        store.append(_row(step))
    store.confirm()
    return _ROWS / (time.perf_counter() - began)


def _ms_a_row(store: RunStore) -> float:
    """Of rows that come seldom, as they do."""
    held = []
    for step in range(100):
        time.sleep(0.01)
        began = time.perf_counter()
        store.append(_row(step))
        held.append(time.perf_counter() - began)
    store.confirm()
    return 1e3 * float(np.median(held))


def _rows_a_core(store: RunStore, recorder: Any) -> float:  # Any: Ray's handle of an actor
    """Rows a second of the recorder's processor time."""
    return _ROWS / _recorder_seconds(recorder, lambda: _rows_per_s(store))


def _mb_a_core(store: RunStore, recorder: Any, run: Path, fill: Fill) -> float:  # Any: as above
    """Megabytes a second of the recorder's processor time."""
    seconds = _recorder_seconds(recorder, lambda: _saved(store, run, fill))
    return _size(checkpoint_folder(run, 1)) / 1e6 / seconds


def _recorder_seconds(recorder: Any, work: Callable[[], object]) -> float:  # Any: as above
    import ray

    before: Any = ray.get(recorder.__ray_call__.remote(_cpu_seconds))
    work()
    after: Any = ray.get(recorder.__ray_call__.remote(_cpu_seconds))
    return after - before


def _cpu_seconds(_: object) -> float:
    times = os.times()
    return times.user + times.system


def _saved(store: RunStore, run: Path, fill: Fill) -> float:
    store.append(new_row("start", 0, info={}))
    store.append(new_row("checkpoint", 1, is_best=True))
    began = time.perf_counter()
    store.save(1, fill, keep=1, best=1)
    return _size(checkpoint_folder(run, 1)) / 1e6 / (time.perf_counter() - began)


def _read(store: RunStore) -> float:
    began = time.perf_counter()
    with store.last() as folder:
        seconds = time.perf_counter() - began
        assert folder is not None
        return _size(folder) / 1e6 / seconds


def _size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in FILES)


if __name__ == "__main__":
    for name, value in figures().items():
        print(f"{name}: {value:,.3g}")
