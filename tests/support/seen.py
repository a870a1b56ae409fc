"""Windows over events that a test makes up."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from casas_ray.corpus.windows import Windows
from casas_ray.evals.features.seen import SeenWindows

US = 1_000_000


def seen(
    time_s: Sequence[float],
    sensor: Sequence[int],
    state: Sequence[int],
    ranges: Sequence[tuple[int, int]],
    *,
    split: Sequence[int] | None = None,
    labels: Sequence[str] = (),
) -> SeenWindows:
    """Windows [first, after) over events of one home, each event of the train split (0) unless
    `split` says another."""
    first, after = np.array(ranges, dtype=np.int64).T
    time_us = np.rint(np.array(time_s, dtype=np.float64) * US).astype(np.int64)
    split_E = np.zeros(len(time_us), dtype=np.int64) if split is None else np.array(split)
    return SeenWindows(
        pa.table({"label": list(labels) or ["Cook"] * len(first)}),
        ("train", "val", "test"),
        split_E[first],
        Windows(first, after),
        time_us,
        np.array(sensor, dtype=np.int64),
        np.array(state, dtype=np.int64),
        time_us // (86_400 * US),
        split_E,
        has_context=True,
    )


def changed(windows: SeenWindows, rows: np.ndarray, sensor: int, state: int) -> SeenWindows:
    """The same windows where these events are of another sensor, state and moment."""
    sensor_E, state_E = windows.sensor_E.copy(), windows.state_E.copy()
    sensor_E[rows], state_E[rows] = sensor, state
    time_us_E = windows.time_us_E.copy()
    time_us_E[rows] += 1  # a microsecond, so that no event overtakes another
    return dataclasses.replace(windows, sensor_E=sensor_E, state_E=state_E, time_us_E=time_us_E)
