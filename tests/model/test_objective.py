"""Every setting of the objective and the step does what it says, on values worked out by hand."""

import dataclasses
import math
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from support.training import batches_of, losses_of, saved, state_of

from casas_ray.config import LossConfig, Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError, SetupError
from casas_ray.loader.batch import Batch
from casas_ray.loader.loader import Loader
from casas_ray.loader.training_data import TrainingData
from casas_ray.model.dual import NOT_ASKED, DualEncoder, targets
from casas_ray.model.embedding import chosen_fields
from casas_ray.model.losses import Goal, alike, contrastive, goal_of
from casas_ray.model.negatives import Bank
from casas_ray.model.objective import Objective
from casas_ray.training import checkpoint
from casas_ray.training.step import average_gradients, train_step

EYE = torch.eye(3, dtype=torch.bool)


def test_pairs_with_an_equal_caption_or_a_common_event_say_the_same():
    caption = torch.tensor([7, 7, 8, 9])
    span = torch.tensor([[0, 20], [100, 120], [110, 130], [-1, -1]])
    found = alike(caption, span, caption, span)
    assert found.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    touching = torch.tensor([[0, 20], [20, 40]])
    assert not alike(torch.tensor([1, 2]), touching, torch.tensor([1, 2]), touching)[0, 1]


def test_ignored_pairs_are_left_out_and_shared_ones_are_right_too():
    scores = torch.tensor([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    same = torch.block_diag(torch.ones(2, 2), torch.ones(1, 1)).bool()
    e = math.exp(2)
    plain = contrastive(scores).item()
    ignored = contrastive(scores, *config(same, duplicates="ignored")).item()
    shared = contrastive(scores, *config(same, duplicates="shared")).item()
    row = {"plain": math.log(2 * e + 1) - 2, "ignored": math.log(e + 1) - 2}
    last = math.log(e + 2) - 2
    assert plain == pytest.approx((2 * row["plain"] + last) / 3)
    assert ignored == pytest.approx((2 * row["ignored"] + last) / 3)
    # Half the target on each of two equal scores costs what one of them does.
    assert shared == pytest.approx(plain)


def config(same: torch.Tensor, **changes: object) -> tuple[Goal, LossConfig]:
    loss = LossConfig.build(changes)
    return goal_of(same, torch.zeros(len(same), 2), loss), loss


def test_soft_targets_follow_the_text_models_similarity():
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = LossConfig(soft_targets=0.5, soft_temperature=0.05)
    target = goal_of(EYE, text, loss).target_GG
    torch.testing.assert_close(target[0], torch.tensor([0.75, 0.25, 0.0]), atol=1e-6, rtol=0)
    assert target.sum(1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_sigmoid_loss_by_hand():
    scores = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    loss = LossConfig(kind="sigmoid")
    found = contrastive(scores, Goal(torch.eye(2)), loss, bias=torch.tensor(-1.0))

    def cost(value: float) -> float:
        return math.log(1 + math.exp(-value))

    assert found.item() == pytest.approx((cost(0.0) + cost(3.0) + cost(0.5) + cost(2.0)) / 2)


def test_a_focal_loss_counts_known_pairs_less_and_is_infonce_at_gamma_0():
    scores = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    plain = contrastive(scores)
    torch.testing.assert_close(
        contrastive(scores, config=LossConfig(kind="focal", focal_gamma=0.0)), plain
    )
    sure = math.exp(2) / (math.exp(2) + 1)
    wanted = (-((1 - sure) ** 2) * math.log(sure) + 0.25 * math.log(2)) / 2
    assert contrastive(scores, config=LossConfig(kind="focal")).item() == pytest.approx(wanted)


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, 4, generator=generator), dim=-1)


def test_a_bank_holds_the_newest_and_never_gives_a_row_its_own():
    bank = Bank.empty(4, 4, torch.device("cpu"))
    sensor, text = unit(3, 0), unit(3, 1)
    caption, span = torch.tensor([1, 2, 3]), torch.tensor([[0, 20], [50, 70], [90, 110]])
    one = torch.tensor(1.0)
    assert bank.wrong_scores(sensor, text, caption, span, one, 2) is None
    bank.put(sensor, text, caption, span)
    to_text, to_sensor = bank.wrong_scores(sensor, text, caption, span, one, 3)
    # Two of the bank's three pairs may stand against each row; the third is the row itself.
    assert torch.isneginf(to_text).sum(1).tolist() == [1, 1, 1]
    assert to_text[0, :2].tolist() == pytest.approx(
        sorted((sensor[0] @ text[1:].T).tolist(), reverse=True)
    )
    assert to_sensor[0, 0].item() == pytest.approx((text[0] @ sensor[1:].T).max().item())
    # An overlapping window under another caption is the row's own too.
    other = torch.tensor([[10, 30], [300, 320], [400, 420]])
    to_text, _ = bank.wrong_scores(sensor, text, torch.tensor([7, 8, 9]), other, one, 3)
    assert torch.isneginf(to_text).sum(1).tolist() == [1, 0, 0]
    bank.put(unit(3, 2), unit(3, 3), torch.tensor([4, 5, 6]), span + 1000)
    assert sorted(bank.caption_N.tolist()) == [3, 4, 5, 6]


def test_further_negatives_raise_the_loss_by_their_share():
    scores = torch.zeros(2, 2)
    further = (torch.zeros(2, 3), torch.full((2, 1), float("-inf")))
    found = contrastive(scores, further=further).item()
    assert found == pytest.approx((math.log(5) + math.log(2)) / 2)


SETTINGS: dict[str, dict[str, object]] = {
    "rotary": {"model.positions": "rotary"},
    "learned": {"model.positions": "learned"},
    "cls": {"model.pooling": "cls"},
    "mean": {"model.pooling": "mean"},
    "attention": {"model.pooling": "attention"},
    "mlp": {"model.projection": "mlp"},
    "sensor_text": {"model.sensor_text": True},
    "fields": {"model.fields": ("sensor", "room", "gap")},
    "sigmoid": {"loss.kind": "sigmoid"},
    "focal": {"loss.kind": "focal"},
    "ignored": {"loss.duplicates": "ignored"},
    "shared": {"loss.duplicates": "shared"},
    "soft": {"loss.soft_targets": 0.3},
    "bank": {"loss.bank_size": 96, "loss.bank_hardest": 8},
    "hide": {"masking.hide.sensor": 0.8, "masking.hide.state": 0.3, "masking.blackout": 0.2},
    "bert": {"masking.swap": 0.1, "masking.keep": 0.1},
    "transitions": {"masking.start": "transitions"},
    "grows": {"masking.grows_from": 0.1},
    "ema": {"optim.ema_decay": 0.9},
    "fixed temperature": {"loss.temperature_learnable": False},
}


@pytest.fixture(scope="module")
def plain(small_recipe, small_set, small_vectors) -> list[float]:
    loader = TrainingData(small_set, small_vectors).loader(small_recipe, torch.device("cpu"))
    return losses_of(small_recipe, loader)


def test_a_bank_gives_what_earlier_steps_put_in_and_nothing_of_the_same_step(
    small_recipe: Recipe, small_loader: Loader, plain: list[float]
):
    found = losses_of(small_recipe.replace(SETTINGS["bank"]), small_loader)
    assert found[0] == plain[0]
    assert found[1] > plain[1]


def test_the_loss_is_the_weighted_sum_of_both(small_recipe: Recipe, small_loader: Loader):
    state, batches = state_of(small_recipe, small_loader), batches_of(small_recipe, small_loader)
    row = {name: float(value) for name, value in train_step(state, next(batches)).items()}
    wanted = 0.7 * row["train/clip_loss"] + 0.3 * row["train/mlm_loss"]
    assert row["train/total_loss"] == pytest.approx(wanted)


def test_an_average_keeps_its_share_and_takes_the_rest_from_the_weights(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace(SETTINGS["ema"])
    state, batches = state_of(recipe, small_loader), batches_of(recipe, small_loader)
    before = state.model.encoder.cls.detach().clone()
    train_step(state, next(batches))
    wanted = 0.9 * before + 0.1 * state.model.encoder.cls
    torch.testing.assert_close(state.eval_model.encoder.cls, wanted)


def test_an_average_of_the_weights_is_judged_and_the_training_is_the_same(
    small_recipe: Recipe, small_loader: Loader, plain: list[float]
):
    recipe = small_recipe.replace(SETTINGS["ema"])
    assert losses_of(recipe, small_loader) == plain
    state, batches = state_of(recipe, small_loader), batches_of(recipe, small_loader)
    for _ in range(3):
        train_step(state, next(batches))
    assert not torch.equal(state.eval_model.encoder.cls, state.model.encoder.cls)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_comes_back_from_a_checkpoint_bit_for_bit(
    name: str, small_recipe: Recipe, small_loader: Loader, tmp_path
):
    recipe = small_recipe.replace(SETTINGS[name])
    state, batches = state_of(recipe, small_loader), batches_of(recipe, small_loader)
    for _ in range(3):
        train_step(state, next(batches))
    state.best = {"step": 3.0, "value": 0.1}
    folder = saved(state, tmp_path, keep=1)
    again = checkpoint.restore(state_of(recipe, small_loader), folder)
    batch = next(batches)
    first, second = train_step(state, batch), train_step(again, batch)
    assert {k: float(v) for k, v in first.items()} == {k: float(v) for k, v in second.items()}
    for one, two in ((state.model, again.model), (state.eval_model, again.eval_model)):
        pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["plain", "hide", "bank", "shared", "sigmoid"])
@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_give_the_gradients_of_the_whole_batch(
    name: str, pieces: int, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace(SETTINGS.get(name, {}))
    batch = next(batches_of(recipe, small_loader))
    terms, grads = [], []
    for cut in (1, pieces):
        state = state_of(recipe, small_loader)
        objective = Objective(state.model, recipe.loss, state.bank, in_detail=True)
        terms.append(objective.backward(batch, pieces=cut))
        weights = state.model.named_parameters()
        grads.append({name: w.grad for name, w in weights if w.grad is not None})
    whole, pieced = terms
    assert {f"mlm_acc/{field}" for field in small_loader.facts.sizes()} <= whole.keys()
    assert whole.keys() == pieced.keys()
    for key, value in whole.items():
        assert float(pieced[key]) == pytest.approx(float(value), rel=1e-5, abs=1e-6), key
    assert grads[0].keys() == grads[1].keys()
    for key, grad in grads[0].items():
        torch.testing.assert_close(grads[1][key], grad, rtol=2e-4, atol=2e-6)


def test_a_field_left_out_can_neither_be_seen_nor_is_asked_back(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.fields": ("sensor", "room")})
    model = state_of(recipe, small_loader).model.eval()
    batch = small_loader.val.fixed_batch(np.arange(6), small_loader.vectors_NT)
    before = model(batch).sensor_BD
    ids = batch.ids_BLF.clone()
    ids[..., batch.fields.index("state")] = 1
    changed = batch.seen_as(
        ids_BLF=ids, gap_seconds_BL=batch.gap_seconds_BL + 99, xy_BL2=batch.xy_BL2 + 0.2
    )
    assert torch.equal(before, model(changed).sensor_BD)
    assert set(model.sizes) == {"sensor", "room"}
    ids[..., batch.fields.index("room")] = 1
    assert not torch.equal(before, model(batch.seen_as(ids_BLF=ids)).sensor_BD)


def test_a_field_that_the_data_lacks_is_refused(small_recipe: Recipe):
    with pytest.raises(SettingsError, match="asks for colour, which this data does not have"):
        chosen_fields(small_recipe.replace({"model.fields": "sensor,colour"}).model, ("sensor",))
    with pytest.raises(SettingsError, match="leaves the encoder no field"):
        chosen_fields(small_recipe.replace({"model.fields": "gap"}).model, ("sensor",))


def partly_hidden(loader: Loader, recipe: Recipe) -> Batch:
    return next(
        batches_of(recipe.replace({"model.dropout": 0.0, "masking.hide.state": 0.3}), loader)
    )


def test_what_is_not_hidden_is_seen_and_not_asked_back(small_recipe: Recipe, small_loader: Loader):
    batch = partly_hidden(small_loader, small_recipe)
    assert batch.hidden_BLG is not None
    wanted = targets(batch, batch.fields)
    seen = batch.masked_BL & ~batch.hidden_BLG[..., 1]
    state = batch.fields.index("state")
    assert (wanted["state"] == NOT_ASKED).sum() == seen.sum() > 0
    assert (wanted["sensor"] >= 0).all()
    model = state_of(small_recipe, small_loader).model.eval()
    for where, is_seen in ((seen, True), (batch.masked_BL & ~seen, False)):
        ids = batch.ids_BLF.clone()
        ids[..., state] = torch.where(where, 3 + (ids[..., state] - 2) % 2, ids[..., state])
        changed = not torch.equal(
            model(batch).sensor_BD,
            model(batch.seen_as(ids_BLF=ids, hidden_BLG=batch.hidden_BLG)).sensor_BD,
        )
        assert changed == is_seen


def test_the_time_of_a_masked_event_cannot_be_read_off_rotary_positions(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.positions": "rotary"})
    model = state_of(recipe, small_loader).model.eval()
    masked = np.zeros((6, 20), dtype=bool)
    masked[:, 5:9] = True
    batch = small_loader.val.fixed_batch(np.arange(6), small_loader.vectors_NT, masked)
    moved = batch.gap_seconds_BL.masked_fill(batch.masked_BL, 555.0)
    before = model(batch)
    hidden = model(batch.seen_as(gap_seconds_BL=moved))
    assert torch.equal(before.sensor_BD, hidden.sensor_BD)
    open_gap = batch.gap_seconds_BL.clone()
    open_gap[:, 12] += 100.0
    assert not torch.equal(
        before.sensor_BD, model(batch.seen_as(gap_seconds_BL=open_gap)).sensor_BD
    )


def test_an_event_shown_in_anothers_place_is_seen_there_and_asked_back(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.dropout": 0.0, "masking.swap": 0.9})
    model = state_of(recipe, small_loader).model.eval()
    batch = next(batches_of(recipe, small_loader))
    assert batch.shown_BL is not None
    found = model(batch)
    assert len(found.logits["sensor"]) == int(batch.masked_BL.sum())
    as_mask = batch.seen_as()
    assert not torch.equal(found.sensor_BD, model(as_mask).sensor_BD)


def test_training_stops_early_when_nothing_gets_better(small_recipe: Recipe, small_loader: Loader):
    recipe = small_recipe.replace({"optim.patience": 2})
    state = state_of(recipe, small_loader)
    best = []
    for step, value in enumerate((0.2, 0.3, 0.1)):
        state.step = step
        state.select({"val/recall_mean": value})
        best.append(state.is_best_now)
    assert (best, state.is_done) == ([True, True, False], False)
    state.select({"val/recall_mean": 0.3})  # no better than the best, so the first stands
    assert state.best == {"step": 1.0, "value": 0.3}
    assert state.is_done


@pytest.mark.parametrize("name", ["val/recall_mean", "val/total_loss"])
def test_a_first_validation_that_is_no_number_gives_way_to_any_that_is(
    name: str, small_recipe: Recipe, small_loader: Loader
):
    nan, recipe = float("nan"), small_recipe.replace({"optim.select_by": name})
    state = state_of(recipe, small_loader)
    best = []
    for step, value in enumerate((nan, nan, 0.2, nan)):
        state.step = step
        state.select({name: value})
        best.append(state.is_best_now)
    # The first is the best there is, so that a run of NaN alone has a checkpoint to look at.
    assert (best, state.stale) == ([True, False, True, False], 1)
    assert state.best == {"step": 2.0, "value": 0.2}


def test_bf16_is_refused_where_there_is_none(small_recipe: Recipe, small_loader: Loader):
    with pytest.raises(SettingsError, match="this cpu does not compute in bfloat16"):
        state_of(small_recipe.replace({"optim.precision": "bf16"}), small_loader)
    assert losses_of(small_recipe.replace({"optim.precision": "auto"}), small_loader, 1)


@pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and none is here"
)
def test_compiled_blocks_give_the_losses_of_eager_ones(
    small_recipe: Recipe, small_loader: Loader, plain: list[float]
):
    """CUDA graphs need a GPU; what they record is what is compiled here."""
    found = losses_of(small_recipe.replace({"optim.compile": "on"}), small_loader)
    assert found == pytest.approx(plain, rel=1e-5)


def test_a_missing_compiler_is_named_before_a_step_is_taken(
    small_recipe: Recipe, small_loader: Loader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="a C\\+\\+ compiler is wanted, and 'g\\+\\+' is not here"):
        state_of(small_recipe.replace({"optim.compile": "on"}), small_loader)
    assert state_of(small_recipe, small_loader).step == 0


def stepped_losses(
    recipes: list[Recipe], loader: Loader, rank: int, size: int
) -> list[list[float]]:
    """Of fifty steps, as a worker with its share of each batch sees them."""
    found = []
    for recipe in recipes:
        state, batches = state_of(recipe, loader), batches_of(recipe, loader)
        share = recipe.optim.batch_size // size
        rows = slice(rank * share, (rank + 1) * share)
        pieces = (next(batches).piece(rows.start, rows.stop) for _ in range(50))
        found.append([float(train_step(state, piece)["train/total_loss"]) for piece in pieces])
    return found


def in_double(batch: Batch) -> Batch:
    tensors = {
        field.name: value.double()
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), torch.Tensor)
        and value.is_floating_point()
    }
    return dataclasses.replace(batch, **tensors)


def gradients(recipe: Recipe, loader: Loader, rank: int, size: int) -> dict[str, torch.Tensor]:
    """Of the whole model in double precision, averaged over workers, after one batch."""
    state = state_of(recipe, loader)
    state.model.double()
    share = recipe.optim.batch_size // size
    batch = next(batches_of(recipe, loader)).piece(rank * share, (rank + 1) * share)
    Objective(state.model, recipe.loss, state.bank).backward(in_double(batch))
    average_gradients(state.model)
    return {
        name: weight.grad
        for name, weight in state.model.named_parameters()
        if weight.grad is not None
    }


Told = tuple[list[list[float]], list[dict[str, torch.Tensor]]]


def told(recipes: list[Recipe], loader: Loader, rank: int = 0, size: int = 1) -> Told:
    """Losses of fifty steps in pieces, in single precision, for the first two recipes; gradients in
    double precision for all."""
    pieced = [recipe.replace({"optim.pieces": 2}) for recipe in recipes[:2]]
    return (
        stepped_losses(pieced, loader, rank, size),
        [gradients(recipe, loader, rank, size) for recipe in recipes],
    )


def one_worker(rank: int, size: int, port: int, folder: str, made: tuple) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    torch.save(told(*made, rank, size), f"{folder}/{size}-{rank}.pt")
    dist.barrier()  # a worker that leaves first can abort the others
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def by_workers(
    small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray, tmp_path_factory
) -> dict[int, Told]:
    """What one, two and four gloo workers have to tell of one global batch size."""
    names = ("plain", "bank", "hide", "shared", "sigmoid", "soft")
    recipes = [small_recipe.replace(SETTINGS.get(name, {})) for name in names]
    loader = TrainingData(small_set, small_vectors).loader(small_recipe, torch.device("cpu"))
    found = {1: told(recipes, loader)}
    folder = tmp_path_factory.mktemp("workers")
    for size in (2, 4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        mp.spawn(one_worker, args=(size, port, str(folder), (recipes, loader)), nprocs=size)
        found[size] = torch.load(folder / f"{size}-{size - 1}.pt")
    return found


@pytest.mark.parametrize("size", [2, 4])
def test_several_workers_have_the_losses_of_one_over_fifty_steps(
    size: int, by_workers: dict[int, Told]
):
    for found, wanted in zip(by_workers[size][0], by_workers[1][0], strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("size", [2, 4])
def test_the_whole_models_gradients_on_several_workers_are_those_of_one_in_double_precision(
    size: int, by_workers: dict[int, Told]
):
    for found, wanted in zip(by_workers[size][1], by_workers[1][1], strict=True):
        assert wanted.keys() == found.keys()
        for name, grad in wanted.items():
            apart = (found[name] - grad).norm() / grad.norm()
            assert apart < 1e-10, (name, float(apart))


def test_named_sizes_have_the_parameters_that_the_page_says(small_loader: Loader):
    from casas_ray.config import SIZES, ModelConfig

    counts = {}
    for size, changes in SIZES.items():
        recipe = Recipe(model=ModelConfig.build(changes))
        with torch.device("meta"):
            model = DualEncoder(recipe, small_loader.facts.sizes(), 384)
        counts[size] = sum(weight.numel() for weight in model.encoder.blocks.parameters()) / 1e6
    assert counts == pytest.approx(
        {"tiny": 0.89, "small": 3.16, "baseline": 12.61, "medium": 18.91, "large": 42.53}, abs=0.01
    )


def test_a_sensor_seen_as_text_is_told_by_its_description_alone(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.sensor_text": True})
    model = state_of(recipe, small_loader).model.eval()
    masked = np.zeros((6, 20), dtype=bool)
    masked[:, 4:8] = True
    batch = small_loader.val.fixed_batch(np.arange(6), small_loader.vectors_NT, masked)
    before = model(batch).sensor_BD
    ids = batch.ids_BLF.clone()
    ids[..., batch.fields.index("sensor")] = 1
    assert torch.equal(before, model(batch.seen_as(ids_BLF=ids)).sensor_BD)
    other = batch.sensor_text_BL.roll(1, 0)
    assert not torch.equal(before, model(batch.seen_as(sensor_text_BL=other)).sensor_BD)
    hidden = torch.where(batch.masked_BL, other, batch.sensor_text_BL)
    assert torch.equal(before, model(batch.seen_as(sensor_text_BL=hidden)).sensor_BD)
    assert "sensor" in model.sizes  # it is asked back all the same


def test_sensors_are_described_by_the_homes_facts(small_set):
    texts = small_set.captions()
    train = small_set.windows("train").slice(0, 1).to_pylist()[0]
    sensors = small_set.vocabulary.values["sensor"]
    said = {
        sensors[s]: texts[t] for s, t in zip(train["id_sensor"], train["sensor_text"], strict=True)
    }
    every = {
        sensors[s]: texts[t]
        for row in small_set.windows("train").to_pylist()
        for s, t in zip(row["id_sensor"], row["sensor_text"], strict=True)
    }
    assert said.items() <= every.items()
    assert every["M022"] == "motion sensor by the stove, kitchen"
    assert every["M027"] == "motion sensor in the living room"
