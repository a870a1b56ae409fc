"""Models that read around a window: how far they see, what they are told, and that workers, pieces
and resumes change nothing."""

import dataclasses
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from support.context import BOTH, CONTEXT, TOGETHER, loader_of
from support.training import saved, state_of

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError
from casas_ray.loader.batch import Batch
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.dual import DualEncoder
from casas_ray.model.objective import Objective
from casas_ray.training import checkpoint
from casas_ray.training.step import average_gradients, train_step
from casas_ray.training.validation import validate

ROW = np.array([20])
"""A window with context on both sides."""


def store_and_model(
    recipe: Recipe, prepared: PreparedSet, vectors: np.ndarray
) -> tuple[WindowStore, DualEncoder]:
    loader = loader_of(recipe, prepared, vectors)
    return loader.val, state_of(recipe, loader).model.eval()


def altered(store: WindowStore, first: int, after: int) -> WindowStore:
    """The store with other sensors, states and gaps in its records from `first` to before
    `after`."""
    events = store.events.copy()
    events["ids"][first:after] = events["ids"][first:after] % 3 + 3
    events["gap_seconds"][first:after] += 1000.0
    events["day_seconds"][first:after] += 5000.0
    return dataclasses.replace(store, events=events)


def vector(model: DualEncoder, store: WindowStore, vectors: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model.pooled(store.fixed_batch(ROW, torch.from_numpy(vectors)))


def test_a_past_model_sees_what_came_before_within_its_reach_and_nothing_later(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(CONTEXT | {"model.state_token": False})
    store, model = store_and_model(recipe, small_set, small_vectors)
    first = int(store.first_record_N[ROW[0]])
    last = first + int(store.length_N[ROW[0]])
    before = vector(model, store, small_vectors)
    later = altered(store, last, len(store.events))
    assert torch.equal(vector(model, later, small_vectors), before)
    farther = altered(store, 0, first - 30)
    assert torch.equal(vector(model, farther, small_vectors), before)
    nearer = altered(store, first - 30, first - 29)
    assert not torch.equal(vector(model, nearer, small_vectors), before)


def test_a_model_of_both_sides_sees_as_far_either_way(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(BOTH | {"model.state_token": False})
    store, model = store_and_model(recipe, small_set, small_vectors)
    first = int(store.first_record_N[ROW[0]])
    last = first + int(store.length_N[ROW[0]])
    before = vector(model, store, small_vectors)
    for start, stop, sees in (
        (last + 15, len(store.events), False),
        (last + 14, last + 15, True),
        (first - 15, first - 14, True),
        (0, first - 15, False),
    ):
        found = vector(model, altered(store, start, stop), small_vectors)
        assert torch.equal(found, before) != sees, (start, stop)


def test_an_event_of_a_causal_encoder_knows_those_before_it_alone(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(CONTEXT)
    store, model = store_and_model(recipe, small_set, small_vectors)
    first = int(store.first_record_N[ROW[0]])

    def tokens(store: WindowStore) -> torch.Tensor:
        batch = store.fixed_batch(ROW, torch.from_numpy(small_vectors))
        with torch.inference_mode():
            return model.encoder(batch, model.encoder.dropout_of(batch))[0]

    before, after = tokens(store), tokens(altered(store, first + 7, first + 8))
    # CLS and 30 events of context stand before the window.
    assert torch.equal(before[: 31 + 7], after[: 31 + 7])
    assert (before[31 + 7 :] != after[31 + 7 :]).any(1).all()


def test_what_sensors_said_before_the_chunk_moves_the_vector_of_a_state_token(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    for text in (False, True):
        recipe = small_recipe.replace(CONTEXT | {"model.sensor_text": text})
        store, model = store_and_model(recipe, small_set, small_vectors)
        batch = store.fixed_batch(ROW, torch.from_numpy(small_vectors))
        assert batch.since_BK is not None and batch.said_BK is not None
        heard = int(batch.said_BK[0].argmax())
        assert batch.said_BK[0, heard] > 0
        longer, other = batch.since_BK.clone(), batch.said_BK.clone()
        longer[0, heard] += 0.1
        other[0, heard] = 3 if other[0, heard] != 3 else 4
        with torch.inference_mode():
            before = model.pooled(batch)
            assert not torch.equal(model.pooled(batch.seen_as(since_BK=longer)), before)
            assert not torch.equal(model.pooled(batch.seen_as(said_BK=other)), before)
            nothing = batch.seen_as(
                since_BK=torch.zeros_like(longer), said_BK=torch.zeros_like(other)
            )
            assert (model.encoder.state(nothing) == 0).all()


def test_the_hour_and_the_gap_of_a_masked_event_are_hidden_from_harmonics(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace({"model.time_harmonics": 2, "model.dropout": 0.0})
    loader = loader_of(recipe.replace({"model.state_token": True}), small_set, small_vectors)
    batch = next(loader.batches(start=0))
    embedding = DualEncoder(recipe, loader.facts.sizes(), 16).encoder.embedding
    noon = batch.seen_as(
        day_seconds_BL=torch.full_like(batch.day_seconds_BL, 43_200.0),
        gap_seconds_BL=batch.gap_seconds_BL + 1e-4,
    )
    one, other = embedding(batch), embedding(noon)
    assert torch.equal(one[batch.masked_BL], other[batch.masked_BL])
    seen = batch.real_BL & ~batch.masked_BL
    assert (one[seen] != other[seen]).any(1).all()
    # Six in the morning: sine 1, cosine 0; twice round: 0 and -1. A gap of a day is 1.
    six = batch.seen_as(
        day_seconds_BL=torch.full_like(batch.day_seconds_BL, 21_600.0),
        gap_seconds_BL=torch.full_like(batch.gap_seconds_BL, 86_400.0),
        masked_BL=torch.zeros_like(batch.masked_BL),
    )
    wanted = embedding.numbers(torch.tensor([1.0, 0.0, 0.0, -1.0, 1.0]))
    torch.testing.assert_close(embedding._timed(six)[0, 0], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_one_pass_gives_the_vectors_that_windows_have_with_the_same_past(
    pooling: str, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    """With all of the past in reach, a causal encoder reads the same for a window alone and for the
    windows of a block together."""
    far = {"data.context.events": 4096, "model.dropout": 0.0, "model.pooling": pooling}
    recipe = small_recipe.replace(TOGETHER | far)
    loader = loader_of(recipe, small_set, small_vectors)
    model = state_of(recipe, loader).model.eval()
    blocks = loader.train.blocks
    assert blocks is not None
    batch = next(loader.batches(start=0))
    seen = batch.seen_as(masked_BL=torch.zeros_like(batch.masked_BL))
    _, rows, _ = next(loader.sampler.steps(0, 1, start=0))
    windows = blocks.windows_CJ[rows].ravel()
    with torch.inference_mode():
        together = model.pooled(seen)
        alone = model.pooled(loader.train.fixed_batch(windows, torch.from_numpy(small_vectors)))
    near = torch.from_numpy(loader.train.first_record_N[windows] < 4000)
    assert near.sum() > 8
    torch.testing.assert_close(together[near], alone[near], atol=2e-5, rtol=1e-4)


def test_the_total_is_the_weighted_sum_and_counted_losses_fall(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    recipe = small_recipe.replace(CONTEXT)
    loader = loader_of(recipe, small_set, small_vectors)
    state, batches = state_of(recipe, loader), loader.batches(start=0)
    rows = [train_step(state, next(batches)) for _ in range(30)]
    first, last = (
        {name: float(value) for name, value in row.items()} for row in rows[:: len(rows) - 1]
    )
    wanted = 0.7 * first["train/clip_loss"] + 0.3 * first["train/mlm_loss"]
    wanted += 0.8 * first["train/aggregates_loss"] + 0.6 * first["train/neighbours_loss"]
    assert first["train/total_loss"] == pytest.approx(wanted)
    assert last["train/aggregates_loss"] < 0.9 * first["train/aggregates_loss"]
    assert last["train/neighbours_loss"] < first["train/neighbours_loss"]
    looked = validate(state.model, loader=loader, recipe=recipe)
    wanted = 0.7 * looked["val/clip_loss"] + 0.3 * looked["val/mlm_loss"]
    wanted += 0.8 * looked["val/aggregates_loss"] + 0.6 * looked["val/neighbours_loss"]
    assert looked["val/total_loss"] == pytest.approx(wanted)


def test_the_aggregates_loss_by_hand(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    """Heads of zeros guess the mean, 0: the loss is the mean square of what is asked."""
    recipe = small_recipe.replace(CONTEXT)
    loader = loader_of(recipe, small_set, small_vectors)
    state = state_of(recipe, loader)
    for weight in (*state.model.aggregates.parameters(), *state.model.neighbours.parameters()):
        weight.data.zero_()
    batch = next(loader.batches(start=0))
    found = Objective(state.model, recipe.loss).backward(batch)
    assert batch.counted_BA is not None and batch.neighbours_BOA is not None
    wanted = float(batch.counted_BA.square().mean())
    assert float(found["aggregates_loss"]) == pytest.approx(wanted, rel=1e-5)
    there = batch.neighbours_BOA[~batch.neighbours_BOA.isnan()]
    assert 0 < len(there) < batch.neighbours_BOA.numel()
    assert float(found["neighbours_loss"]) == pytest.approx(float(there.square().mean()), rel=1e-5)


@pytest.mark.parametrize("changes", [CONTEXT, BOTH, TOGETHER])
@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_give_the_terms_and_gradients_of_the_whole_batch(
    pieces: int,
    changes: dict,
    small_recipe: Recipe,
    small_set: PreparedSet,
    small_vectors: np.ndarray,
):
    recipe = small_recipe.replace(changes)
    loader = loader_of(recipe, small_set, small_vectors)
    batch, terms, grads = next(loader.batches(start=0)), [], []
    for cut in (1, pieces):
        model = state_of(recipe, loader).model
        terms.append(Objective(model, recipe.loss).backward(batch, pieces=cut))
        grads.append({name: weight.grad for name, weight in model.named_parameters()})
    for key, value in terms[0].items():
        assert float(terms[1][key]) == pytest.approx(float(value), rel=1e-5, abs=1e-6), key
    for key, grad in grads[0].items():
        assert grad is not None, key
        torch.testing.assert_close(grads[1][key], grad, rtol=2e-4, atol=2e-6)


def test_a_run_taken_up_from_a_checkpoint_is_the_run_that_went_on(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray, tmp_path: Path
):
    recipe = small_recipe.replace(CONTEXT)
    loader = loader_of(recipe, small_set, small_vectors)
    state, batches = state_of(recipe, loader), loader.batches(start=0)
    for _ in range(3):
        train_step(state, next(batches))
    again = checkpoint.restore(state_of(recipe, loader), saved(state, tmp_path, keep=1))
    for _ in range(2):
        train_step(state, next(batches))
    taken_up = loader.batches(start=3)
    for _ in range(2):
        train_step(again, next(taken_up))
    pairs = zip(state.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def in_double(batch: Batch) -> Batch:
    tensors = {
        field.name: value.double()
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), torch.Tensor)
        and value.is_floating_point()
    }
    return dataclasses.replace(batch, **tensors)


Given = tuple[Recipe, PreparedSet, np.ndarray]


def told(given: Given, rank: int, size: int, pieces: int) -> dict[str, torch.Tensor]:
    """Gradients in double precision after one batch, and the losses."""
    recipe = given[0]
    loader = loader_of(*given, rank, size)
    model = state_of(recipe, loader).model.double()
    batch = in_double(next(loader.batches(start=2)))
    terms = Objective(model, recipe.loss).backward(batch, pieces=pieces)
    average_gradients(model)
    grads = {name: weight.grad for name, weight in model.named_parameters()}
    return {**grads, **terms}


def looked(given: Given, rank: int, size: int) -> dict[str, float]:
    """What a look at the validation days finds, in single precision."""
    loader = loader_of(*given, rank, size)
    return validate(state_of(given[0], loader).model.eval(), loader=loader, recipe=given[0])


def one_worker(rank: int, size: int, port: int, folder: str, given: Given, pieces: int) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    found = (told(given, rank, size, pieces), looked(given, rank, size))
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()  # a worker that leaves first can abort the others
    dist.destroy_process_group()


@pytest.mark.parametrize(("pieces", "changes"), [(1, CONTEXT), (2, CONTEXT), (2, TOGETHER)])
def test_two_workers_have_the_gradients_and_losses_of_one(
    pieces: int,
    changes: dict,
    small_recipe: Recipe,
    small_set: PreparedSet,
    small_vectors: np.ndarray,
    tmp_path: Path,
):
    given = (small_recipe.replace(changes), small_set, small_vectors)
    wanted, seen = told(given, 0, 1, 1), looked(given, 0, 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(one_worker, args=(2, port, str(tmp_path), given, pieces), nprocs=2)
    found, also_seen = torch.load(tmp_path / "1.pt")
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        apart = (found[name] - value).norm() / value.norm().clamp(min=1e-12)
        assert apart < 1e-9, (name, float(apart))
    assert also_seen == pytest.approx(seen, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.context.side": "past"}, "wants model.pooling=mean or attention"),
        (
            {"data.context.side": "past", "model.pooling": "mean", "data.context.windows": 5},
            "data.context.windows 5 does not divide optim.batch_size 64",
        ),
        ({"data.context.windows": 2}, "windows has no effect where side is none"),
        ({"data.context.events": 40}, "events has no effect where side is none"),
        (
            {"model.time_harmonics": 2, "model.fields": ("sensor", "state")},
            "time_harmonics show the time of day, which fields leaves out",
        ),
        (
            {"data.context.side": "both", "model.pooling": "mean", "optim.compile": "cuda_graphs"},
            "cuda_graphs wants chunks of one length",
        ),
    ],
)
def test_settings_of_context_that_contradict_others_are_refused(changes: dict, said: str):
    with pytest.raises(SettingsError, match=said):
        Recipe().replace(changes)


def test_what_a_vector_reads_follows_from_the_settings():
    context = Recipe().replace({"model.pooling": "mean", "data.context.side": "both"})
    assert (context.reads, Recipe().reads) == ("both", "none")
    assert (context.data.context.before, context.data.context.after) == (40, 40)
    odd = context.replace({"data.context.events": 41})
    assert (odd.data.context.before, odd.data.context.after) == (21, 20)
    # What each sensor said last tells of the past, also beside a window without context.
    assert Recipe().replace({"model.state_token": True}).reads == "past"
    assert Recipe().replace({"loss.neighbours_weight": 0.1}).reads == "none"
