"""What is read around windows: the events that the set has there, never those of another split."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support.context import BOTH, CONTEXT, TOGETHER, loader_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import SettingsError
from casas_ray.loader.blocks import Blocks
from casas_ray.loader.event_records import EventsOnce, fields_of
from casas_ray.loader.window_store import WindowStore

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def dealt_recipe(small_recipe: Recipe) -> Recipe:
    """Nine days dealt at random, so that splits lie between each other."""
    changes = {
        "data.simulate.days": 9,
        "data.split.kind": "random_days",
        "data.split.seed": 3,
        "data.split.val_share": 0.25,
    }
    return small_recipe.replace(changes)


@pytest.fixture(scope="module")
def dealt_set(dealt_recipe: Recipe) -> PreparedSet:
    return prepare(dealt_recipe.data, logs_for(dealt_recipe.data))


def events_of(prepared: PreparedSet) -> pa.Table:
    return pq.read_table(prepared.folder / "events.parquet")


def days_of(prepared: PreparedSet, split: str) -> set[int]:
    days = prepared.manifest["homes"]["milan"]["days"][split]
    return {int(np.datetime64(day, "D").astype(int)) for day in days}


@pytest.mark.parametrize(("changes", "before", "after"), [(CONTEXT, 30, 0), (BOTH, 15, 15)])
def test_a_chunk_has_the_events_that_the_set_has_around_the_window(
    changes: dict, before: int, after: int, small_recipe: Recipe, small_set: PreparedSet
):
    recipe, table = small_recipe.replace(changes), small_set.windows("val")
    store, events = WindowStore.of_split(table, recipe), events_of(small_set)
    names = small_set.vocabulary.values["sensor"]
    split = [
        row
        for row, time in enumerate(events.column("time_us").to_pylist())
        if time // DAY_US in days_of(small_set, "val")
    ]
    vectors_NT = loader_vectors(small_set)
    for row in (0, 1, 5, len(store) - 1):
        first = table.column("first_event")[row].as_py()
        length = table.column("length")[row].as_py()
        wanted = range(max(first - before, split[0]), min(first + length + after, split[-1] + 1))
        batch = store.fixed_batch(np.array([row]), vectors_NT)
        real = batch.real_BL[0].numpy()
        sensors = [names[code] for code in batch.ids["sensor"][0].numpy()[real].tolist()]
        assert sensors == [events.column("sensor")[index].as_py() for index in wanted]
        passed = np.array([events.column("time_us")[index].as_py() for index in wanted]) % DAY_US
        np.testing.assert_allclose(batch.day_seconds_BL[0].numpy()[real], passed / 1e6, atol=0.02)
        assert batch.own_CJL is not None
        own = np.flatnonzero(batch.own_CJL[0, 0].numpy())
        assert own.tolist() == [*range(first - wanted[0], first - wanted[0] + length)]


def loader_vectors(prepared: PreparedSet) -> torch.Tensor:
    return torch.zeros(len(prepared.captions()), 16)


def test_no_chunk_reaches_across_a_day_of_another_split(dealt_set: PreparedSet):
    for split in ("train", "val", "test"):
        table, own = dealt_set.windows(split), days_of(dealt_set, split)
        once = EventsOnce.of(table, fields_of(table), 50)
        stretches = np.unique(np.stack([once.stretch_first_E, once.stretch_after_E]), axis=1)
        assert stretches.shape[1] > 1 or split != "train"
        for first, after in stretches.T.tolist():
            days = once.time_us_E[first:after] // DAY_US
            assert set(range(days[0], days[-1] + 1)) <= own
        # Every event of a window lies in the window's stretch.
        last_N = once.first_record_N + table.column("length").to_numpy() - 1
        assert (last_N < once.stretch_after_E[once.first_record_N]).all()


def test_what_was_said_before_is_the_last_event_of_each_sensor_in_the_split(
    small_recipe: Recipe, small_set: PreparedSet
):
    recipe, table = small_recipe.replace(CONTEXT), small_set.windows("val")
    store, events = WindowStore.of_split(table, recipe), events_of(small_set)
    rows = np.array([0, 12, 25])
    batch = store.fixed_batch(rows, loader_vectors(small_set))
    assert batch.said_BK is not None and batch.since_BK is not None and batch.sensor_K is not None
    assert (batch.said_BK[0] == 0).all() and (batch.since_BK[0] == 0).all()
    start = table.column("first_event")[0].as_py()
    sensors, states = (small_set.vocabulary.values[name] for name in ("sensor", "state"))
    time, sensor, state = (
        events.column(name).to_pylist() for name in ("time_us", "sensor", "state")
    )
    for index, row in enumerate(rows.tolist()):
        here = max(table.column("first_event")[row].as_py() - 30, start)
        for column, code in enumerate(batch.sensor_K.tolist()):
            heard = [each for each in range(start, here) if sensor[each] == sensors[code]]
            if not heard:
                assert batch.said_BK[index, column] == 0
                continue
            assert states[int(batch.said_BK[index, column])] == state[heard[-1]]
            passed = (time[here] - time[heard[-1]]) / 1e6
            wanted = np.log1p(passed) / np.log1p(86_400)
            assert float(batch.since_BK[index, column]) == pytest.approx(wanted, abs=1e-4)


def test_masks_lie_on_the_windows_own_events_as_without_context(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    changes = {"masking.swap": 0.3, "masking.keep": 0.2, "masking.hide.state": 0.5}
    alone = loader_of(small_recipe.replace(changes), small_set, small_vectors)
    around = loader_of(small_recipe.replace(changes | BOTH), small_set, small_vectors)
    pairs = zip(alone.batches(start=0), around.batches(start=0), strict=False)
    for plain, wide in itertools.islice(pairs, 3):
        assert wide.own_CJL is not None
        own_BL = wide.own_CJL[:, 0]
        assert not (wide.masked_BL & ~own_BL).any()
        assert wide.caption_B.tolist() == plain.caption_B.tolist()
        assert torch.equal(wide.ids_BLF[own_BL], plain.ids_BLF[plain.real_BL])
        assert torch.equal(wide.masked_BL[own_BL], plain.masked_BL[plain.real_BL])
        assert torch.equal(wide.hidden_BLG[own_BL], plain.hidden_BLG[plain.real_BL])
        offset_B = own_BL.int().argmax(1)
        shown = wide.shown_BL - offset_B[:, None]
        found, wanted = shown[own_BL], plain.shown_BL[plain.real_BL]
        assert torch.equal(found[wanted >= 0], wanted[wanted >= 0])
        assert (wide.shown_BL[own_BL][wanted < 0] == -1).all()


@pytest.mark.parametrize("changes", [CONTEXT, BOTH, TOGETHER])
def test_two_workers_draw_what_one_draws(
    changes: dict, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(changes)
    whole = next(loader_of(recipe, small_set, small_vectors).batches(start=5))
    parts = [
        next(loader_of(recipe, small_set, small_vectors, rank, 2).batches(start=5))
        for rank in (0, 1)
    ]
    names = (
        "ids_BLF",
        "own_CJL",
        "masked_BL",
        "real_BL",
        "caption_B",
        "span_B2",
        "since_BK",
        "said_BK",
    )
    for name in (*names, "counted_BA", "neighbours_BOA", "day_seconds_BL"):
        found = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(found, getattr(whole, name), rtol=0, atol=0, equal_nan=True)
    assert parts[1].dropout == whole.dropout.part(whole.chunks // 2, whole.chunks)


def test_without_anything_around_a_split_is_read_as_ever(
    small_recipe: Recipe, small_set: PreparedSet
):
    table = small_set.windows("val")
    one, other = WindowStore.of(table), WindowStore.of_split(table, small_recipe)
    assert one.events.tobytes() == other.events.tobytes()
    assert other.around is None
    # Read around, each event is kept once: half the records where windows overlap by half.
    once = WindowStore.of_split(table, small_recipe.replace(CONTEXT))
    assert len(once.events) < 0.7 * len(one.events)
    rows = np.arange(len(table))
    found, wanted = once.records(rows, 20), one.records(rows, 20)
    for name in ("ids", "gap_seconds", "sensor_text", "xy"):
        np.testing.assert_array_equal(found[name], wanted[name])


def test_windows_of_alignment_json_stand_alone(small_recipe: Recipe, small_set: PreparedSet):
    table = small_set.windows("val")
    nowhere = table.set_column(
        table.column_names.index("first_event"),
        "first_event",
        pa.array(np.full(len(table), -1)),
    )
    with pytest.raises(SettingsError, match="alignment JSON has windows alone"):
        WindowStore.of_split(nowhere, small_recipe.replace(CONTEXT))


def test_windows_read_together_share_their_events_and_each_has_its_own(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(TOGETHER)
    loader = loader_of(recipe, small_set, small_vectors)
    table, blocks = small_set.windows("train"), loader.train.blocks
    assert blocks is not None
    # Each training window is in a block, and few are in two.
    counts = np.bincount(blocks.windows_CJ.ravel(), minlength=len(table))
    assert counts.min() == 1 and counts.max() <= 2 and (counts == 2).mean() < 0.05
    batch = next(loader.batches(start=0))
    assert (len(batch), batch.chunks, batch.together) == (32, 8, 4)
    assert batch.own_CJL is not None
    # Four windows of twenty that share ten with the next span fifty events, thirty stand before.
    assert batch.own_CJL.shape == (8, 4, 80)
    first = np.array(table.column("first_event").to_pylist())
    for run in range(8):
        start_B2 = batch.span_B2.view(8, 4, 2)[run].numpy()
        assert set(start_B2[:, 0].tolist()) <= set(first.tolist())
        for window in range(4):
            own = np.flatnonzero(batch.own_CJL[run, window].numpy())
            offset = start_B2[window, 0] - start_B2[0, 0]
            before = int(batch.own_CJL[run, 0].int().argmax())
            length = start_B2[window, 1] - start_B2[window, 0]
            assert own.tolist() == [*range(before + offset, before + offset + length)]
    # Of a run's own events, so many are masked as of a window's.
    own_CL = batch.own_CJL.any(1)
    wanted = torch.round(0.3 * own_CL.sum(1))
    assert torch.equal(batch.masked_BL.sum(1).float(), wanted)
    assert not (batch.masked_BL & ~own_CL).any()


def test_blocks_stay_in_their_stretch_and_the_last_one_overlaps_the_one_before():
    first = np.array([0, 10, 20, 30, 40, 50, 60])
    stretch = np.array([0, 0, 0, 0, 0, 50, 50])
    blocks = Blocks.of(first, np.full(7, 20), stretch, 3)
    assert blocks.windows_CJ.tolist() == [[0, 1, 2], [2, 3, 4]]
    assert blocks.length_C.tolist() == [40, 40]
    assert Blocks.of(first, np.full(7, 20), stretch, 6).windows_CJ.shape == (0, 6)
