"""What is counted of windows, on numbers worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
from support.context import CONTEXT, loader_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.counted import OFFSETS, Scale, WindowEvents

# Two windows: sensor 3 says 5 twice, then 4 says 6; sensor 4 says 6 alone.
TWO = WindowEvents(
    window_R=np.array([0, 0, 0, 1]),
    windows=2,
    sensor_R=np.array([3, 3, 4, 4]),
    state_R=np.array([5, 5, 6, 6]),
    gap_R=np.array([9.0, 2.0, 7.0, 30.0]),
    day_seconds_R=np.array([0.0, 2.0, 9.0, 21_600.0]),
)


def test_counts_gaps_hours_dwells_and_transitions_by_hand():
    scale = Scale.fit(lambda: [TWO])
    found = scale.raw(TWO)
    assert scale.pairs.tolist() == [3 << 16 | 5, 4 << 16 | 6]
    np.testing.assert_allclose(found[:, :2], np.log1p([[2, 1], [0, 1]]))
    # Duration, longest gap inside, gap before.
    np.testing.assert_allclose(found[:, 2:5], np.log1p([[9, 7, 9], [0, 0, 30]]))
    midnight, six = [0, 1] * 4, [1, 0, 0, -1, -1, 0, 0, 1]
    np.testing.assert_allclose(found[:, 5:13], [midnight, six], atol=1e-12)
    # Sensor 3 holds for 2 s and 7 s; the last event of a window holds for nothing.
    np.testing.assert_allclose(found[:, 13:15], np.log1p([[9, 0], [0, 0]]))
    np.testing.assert_allclose(found[:, 15:], [[1], [0]])


def test_training_windows_have_mean_0_and_spread_1_and_what_never_varies_stays_0():
    scale = Scale.fit(lambda: [TWO])
    values = scale.standardised(TWO)
    np.testing.assert_allclose(values.mean(0), 0.0, atol=1e-6)
    assert values[:, 1].tolist() == [0.0, 0.0]  # both have one event of it
    np.testing.assert_allclose(np.abs(values[:, 0]), 1.0, rtol=1e-6)


def test_what_training_never_saw_has_no_column_and_the_farthest_is_five_spreads():
    scale = Scale.fit(lambda: [TWO])
    strange = dataclasses.replace(TWO, sensor_R=np.array([3, 99, 4, 99]))
    assert scale.raw(strange).shape == (2, 16)
    assert scale.raw(strange)[:, :2].tolist() == [[math.log1p(1), math.log1p(1)], [0.0, 0.0]]
    far = dataclasses.replace(TWO, gap_R=np.array([9.0, 2.0, 1e12, 30.0]))
    assert scale.standardised(far).max() == 5.0


def test_a_scale_does_not_depend_on_how_windows_come_in_pieces():
    rng = np.random.default_rng(0)

    def piece(windows: int) -> WindowEvents:
        window_R = np.repeat(np.arange(windows), 4)
        count = len(window_R)
        sensor_R, state_R = rng.integers(3, 6, count), rng.integers(3, 5, count)
        return WindowEvents(
            window_R, windows, sensor_R, state_R, rng.random(count) * 99, rng.random(count) * 86_400
        )

    parts = [piece(5), piece(3)]
    whole = WindowEvents(
        np.concatenate([parts[0].window_R, parts[1].window_R + 5]),
        8,
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("sensor_R", "state_R", "gap_R", "day_seconds_R")
        ),
    )
    one, two = Scale.fit(lambda: [whole]), Scale.fit(lambda: parts)
    np.testing.assert_allclose(one.mean_A, two.mean_A)
    np.testing.assert_allclose(one.standardised(whole)[5:], two.standardised(parts[1]), rtol=1e-6)


def test_neighbours_are_of_the_same_day(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(CONTEXT)
    loader = loader_of(recipe, small_set, small_vectors)
    day_N = small_set.windows("train").column("start_us").to_numpy() // 86_400_000_000
    rows = loader.sampler.shard_rows(0, 1)
    counted = loader.train.counted
    assert counted is not None
    for index in (0, 7, 100, 300):
        row = int(rows[index])
        assert (counted.of_windows(np.array([index]))[0] == counted.every[row]).all()
        for place, offset in enumerate(OFFSETS):
            found, other = counted.of_neighbours(np.array([index]))[0, place], row + offset
            if 0 <= other < len(day_N) and day_N[other] == day_N[row]:
                assert (found == counted.every[other]).all()
            else:
                assert np.isnan(found).all()
    # Validation windows are standardised by training windows.
    assert loader.val.counted is not None
    assert abs(float(np.nanmean(loader.val.counted.every))) > 1e-3
    assert float(np.nanmean(counted.every)) == pytest.approx(0.0, abs=0.02)
