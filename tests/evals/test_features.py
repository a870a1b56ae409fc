"""What featurizers tell of windows, and what they may not read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.context import BOTH, CONTEXT
from support.context import loader_of as context_loader
from support.seen import changed, seen
from support.training import state_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.evals.features import context, fitted
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold, fold_of
from casas_ray.evals.features.hand import BOTH_SIDES, COUNTS, HAND, MIX, PAST, RICH
from casas_ray.evals.features.learned import captions, encoder, joined, pooled
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.trained_run import TrainedRun

DAY = 86_400.0
SENSORS, STATES, WINDOW = 4, 2, 5


@st.composite
def logs(draw: st.DrawFn) -> tuple[SeenWindows, Fold]:
    """Three days of events, one a side (train, left out, judged), in windows of five."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a_day = draw(st.integers(2, 4)) * WINDOW
    time_s = np.concatenate([day * DAY + np.sort(rng.uniform(0, DAY, a_day)) for day in range(3)])
    sensor = rng.integers(SENSORS, size=3 * a_day)
    state = rng.integers(STATES, size=3 * a_day)
    # Everything is known to training, so that what is changed elsewhere has a column.
    pairs = min(a_day, SENSORS * STATES)
    sensor[:pairs], state[:pairs] = np.arange(pairs) // STATES, np.arange(pairs) % STATES
    ranges = [(first, first + WINDOW) for first in range(0, 3 * a_day, WINDOW)]
    split = np.repeat([0, 1, 2], a_day)
    windows = seen(time_s, sensor, state, ranges, split=split)
    return windows, fold_of(windows, np.array([0, -1, 1])[split], "made up")


def read_for(featurizer: Featurizer, windows: SeenWindows, fold: Fold, row: int) -> np.ndarray:
    """For each event whether the featurizer may read it for this window."""
    event = np.arange(len(windows.time_us_E))
    first, after = windows.ranges.first[row], windows.ranges.after[row]
    begins = fold.reach_first_N[row] if featurizer.level != "window" else first
    ends = fold.reach_after_N[row] if featurizer.level == "both sides" else after
    return (event >= begins) & (event < ends)


@pytest.mark.parametrize("featurizer", HAND, ids=lambda each: each.name)
@given(made=logs(), sensor=st.integers(0, SENSORS - 1), state=st.integers(0, STATES - 1))
@settings(max_examples=25)
def test_a_window_is_told_by_the_events_of_its_level_and_by_no_other(
    featurizer: Featurizer, made: tuple[SeenWindows, Fold], sensor: int, state: int
):
    windows, fold = made
    before = featurizer.make(windows, fold)
    for row in fold.judged.tolist():
        # All other events of days that are judged or left out become others.
        others = ~read_for(featurizer, windows, fold, row) & (windows.split_E != 0)
        after = featurizer.make(changed(windows, np.flatnonzero(others), sensor, state), fold)
        np.testing.assert_array_equal(after[row], before[row])


@pytest.mark.parametrize("featurizer", HAND, ids=lambda each: each.name)
@given(made=logs())
@settings(max_examples=25)
def test_days_of_another_split_are_never_read(
    featurizer: Featurizer, made: tuple[SeenWindows, Fold]
):
    windows, fold = made
    before = featurizer.make(windows, fold)
    outside = np.flatnonzero(windows.split_E == 1)
    judged_and_outside = np.flatnonzero(windows.split_E != 0)
    for rows, unmoved in ((outside, fold.judged), (judged_and_outside, fold.train)):
        after = featurizer.make(changed(windows, rows, 0, 1), fold)
        np.testing.assert_array_equal(after[unmoved], before[unmoved])


@pytest.mark.parametrize("featurizer", [PAST, BOTH_SIDES], ids=lambda each: each.name)
def test_the_days_before_a_split_leave_no_memory(featurizer: Featurizer):
    # Two events of one split, then two of the other a second later.
    windows = seen([1, 2, 3, 4], [0, 1, 0, 1], [0, 0, 0, 0], [(0, 2), (2, 4)], split=[0, 0, 2, 2])
    fold = fold_of(windows, np.array([0, 0, 1, 1]), "made up")
    memory = context.last_fired(windows, fold)
    # Nothing was seen before either of them: as if a day ago.
    np.testing.assert_allclose(memory[:, :2], np.log1p(DAY))
    assert memory[:, 2:].sum() == 0.0
    assert context.decayed(windows, fold).sum() == 0.0
    assert context.decayed_ahead(windows, fold).sum() == 0.0


def test_what_was_last_is_told_with_its_time_and_state():
    # Sensor 0 says 1 at 10 s and 0 at 70 s, sensor 1 says 1 at 40 s; the second window is at 100 s.
    windows = seen(
        [10, 40, 70, 100, 160], [0, 1, 0, 1, 0], [1, 1, 0, 0, 1], [(0, 3), (3, 5)], split=[0] * 5
    )
    fold = fold_of(windows, np.zeros(5, dtype=np.int64), "made up")
    since_and_said = context.last_fired(windows, fold)[1]
    # Columns: sensors 0 and 1, then 0 says 0, 0 says 1, 1 says 0, 1 says 1.
    np.testing.assert_allclose(since_and_said, [np.log(31), np.log(61), 1, 0, 0, 1])
    coming = context.next_fired(windows, fold)[0]
    # The first window ends at 70 s: sensor 0 is next at 160 s and says 1, sensor 1 at 100 s, 0.
    np.testing.assert_allclose(coming, [np.log(91), np.log(31), 0, 1, 1, 0])


def test_events_before_a_window_count_e_times_less_in_so_many_minutes():
    windows = seen([0, 60, 120, 180], [0, 0, 0, 0], [0, 0, 0, 0], [(0, 1), (2, 4)])
    fold = fold_of(windows, np.zeros(4, dtype=np.int64), "made up")
    found = np.expm1(context.decayed(windows, fold)[1])
    wanted = [np.exp(-120 / seconds) + np.exp(-60 / seconds) for seconds in (120.0, 900.0, 3600.0)]
    np.testing.assert_allclose(found, wanted)


@given(made=logs())
@settings(max_examples=25)
def test_what_decays_is_the_plain_sum_over_events_within_reach(made: tuple[SeenWindows, Fold]):
    windows, fold = made
    pairs_E = fitted.pair_E(windows)
    pairs = fold.columns(windows).pair
    found = np.expm1(context.decayed(windows, fold))
    for row in range(len(windows)):
        wanted = np.zeros((3, len(pairs)))
        for event in range(fold.reach_first_N[row], windows.ranges.first[row]):
            passed = (windows.start_us_N[row] - windows.time_us_E[event]) / 60e6
            column = np.flatnonzero(pairs == pairs_E[event])
            for rate, minutes in enumerate(context.DECAY_MINUTES):
                wanted[rate, column] += np.exp(-passed / minutes)
        np.testing.assert_allclose(found[row], wanted.ravel(), atol=1e-9)


def test_a_window_over_two_sides_is_neither_fitted_on_nor_judged():
    windows = seen([0, 1, 2, 3], [0] * 4, [0] * 4, [(0, 2), (1, 3), (2, 4)], split=[0, 0, 2, 2])
    fold = fold_of(windows, np.array([0, 0, 1, 1]), "made up")
    assert fold.train.tolist() == [0]
    assert fold.judged.tolist() == [2]


def test_counts_are_those_of_the_window(small_set: PreparedSet):
    windows = SeenWindows.of(small_set, ["train", "val"])
    fold = fold_of(windows, windows.split_E, "val")
    found = COUNTS.make(windows, fold)[fold.judged]
    table = small_set.windows("val")
    length = table.column("length").to_numpy()
    assert (found[:, 0] == length).all()
    sensors = len(np.unique(windows.sensor_E[windows.split_E == 0]))
    assert (found[:, 1 : 1 + sensors].sum(1) <= length).all()
    assert windows.labels[fold.judged].tolist() == table.column("label").to_pylist()
    # A day is once round the circle, from midnight on: 15 degrees an hour.
    hours = table.column("start_us").to_numpy() / 3.6e9 % 24
    sine, cosine = found[:, -2], found[:, -1]
    apart = (np.degrees(np.arctan2(sine, cosine)) - 15.0 * hours + 180.0) % 360.0 - 180.0
    assert np.abs(apart).max() < 1e-6


def test_rich_counts_and_the_mix_are_as_worked_out_by_hand():
    # Sensor 0 on at midnight, sensor 1 on after 3 s, sensor 1 off after 4 more.
    windows = seen([0, 3, 7], [0, 1, 1], [1, 1, 0], [(0, 3)])
    fold = fold_of(windows, np.zeros(3, dtype=np.int64), "made up")
    rich = RICH.make(windows, fold)[0]
    # Pairs 0+1, 1+0, 1+1; dwell 3 s and 4 s; duration 7 s, longest gap 4 s; one change 0 to 1.
    wanted = [1, 1, 1, *np.log1p([3, 4, 7, 4]), 1, 1]
    np.testing.assert_allclose(rich[:9], wanted)  # the last of them is the hour, 0
    mix = MIX.make(windows, fold)[0]
    np.testing.assert_allclose(mix[:3], np.sqrt([1 / 3] * 3))
    angle = 2 * np.pi * 3.5 / 86_400
    circle = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    np.testing.assert_allclose(mix[3:7], 0.5 * np.array(circle))
    np.testing.assert_allclose(mix[7], 0.1 * np.log(8))


def test_alignment_json_has_windows_and_no_context(small_set: PreparedSet, tmp_path: Path):
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
    from casas_ray.corpus.exchange.shape_a import write_shape_a

    again = prepare_json(JsonFiles.beside(write_shape_a(small_set) / "train.json"))
    windows = SeenWindows.of(again, ["train", "val"])
    whole = SeenWindows.of(small_set, ["train", "val"])
    assert not windows.has_context
    fold, wanted = (fold_of(each, each.split_E, "val") for each in (windows, whole))
    # Milliseconds are what the file keeps of a time.
    for featurizer in (COUNTS, RICH, MIX):
        found = featurizer.make(windows, fold)
        assert found.shape == featurizer.make(whole, wanted).shape
    np.testing.assert_allclose(
        np.sort(COUNTS.make(windows, fold).sum(1)),
        np.sort(COUNTS.make(whole, wanted).sum(1)),
        atol=1e-3,
    )


def test_a_run_and_its_captions_are_featurizers_like_others(whole_run: Path):
    run = TrainedRun.open(whole_run)
    vectors_NT = torch.from_numpy(run.data.vectors_NT)
    windows = SeenWindows.of(run.data.prepared, ["train", "val"])
    fold = fold_of(windows, windows.split_E, "val")
    ours = encoder("trained", run.model, vectors_NT)
    found = ours.make(windows, fold)
    table = run.data.prepared.windows("val")
    np.testing.assert_allclose(found[fold.judged], pooled(run.model, table, vectors_NT), atol=1e-6)
    words = captions(run.data.vectors_NT).make(windows, fold)
    first = table.column("captions")[3][0].as_py()
    np.testing.assert_allclose(words[fold.judged[3]], run.data.vectors_NT[first])
    both = joined("joined", [ours, PAST])
    assert both.level == "past"
    assert not both.one_scale
    vectors = both.make(windows, fold)
    assert vectors.shape == (len(windows), found.shape[1] + PAST.make(windows, fold).shape[1])
    # Each part is spread over the training windows as much as the other.
    spread = vectors[fold.train].var(0)
    np.testing.assert_allclose(spread[: found.shape[1]].sum(), 1.0)
    np.testing.assert_allclose(spread[found.shape[1] :].sum(), 1.0)


def test_an_encoder_with_context_reads_each_split_alone_and_stands_at_its_level(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    levels = {}
    for changes in (CONTEXT, BOTH, {"model.state_token": True}, {"loss.aggregates_weight": 1.0}):
        recipe = small_recipe.replace(changes)
        model = state_of(recipe, context_loader(recipe, small_set, small_vectors)).model.eval()
        ours = encoder("untrained", model, torch.from_numpy(small_vectors))
        levels[ours.level] = ours
        windows = SeenWindows.of(small_set, ["train", "val"])
        found = ours.make(windows, fold_of(windows, windows.split_E, "val"))
        alone = [
            pooled(model, small_set.windows(split), torch.from_numpy(small_vectors))
            for split in ("train", "val")
        ]
        np.testing.assert_allclose(found, np.concatenate(alone), atol=1e-6)
    assert [*levels] == ["past", "both sides", "window"]
    assert joined("joined", [levels["past"], MIX]).level == "past"


def test_days_of_two_homes_differ(small_set: PreparedSet):
    days = json.loads((small_set.folder / "manifest.json").read_text())["homes"]["milan"]["days"]
    windows = SeenWindows.of(small_set, ["train", "val", "test"])
    for index, split in enumerate(("train", "val", "test")):
        assert len(np.unique(windows.day_E[windows.split_E == index])) == len(days[split])
    assert (windows.home_E == 0).all()
