"""The encoder: what it must see, and what it must not."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from casas_ray.config import Recipe
from casas_ray.corpus.vocab import MASK
from casas_ray.loader.batch import Batch, with_cls
from casas_ray.loader.loader import Loader
from casas_ray.loader.masking import GROUPS
from casas_ray.loader.streams import RandomStreams
from casas_ray.model.dual import DualEncoder, targets
from casas_ray.model.encoder import attention_bias, time_angles


@pytest.fixture
def model(small_recipe: Recipe, small_loader: Loader) -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(small_recipe, small_loader.facts.sizes(), 16)


@pytest.fixture
def batch(small_loader: Loader) -> Batch:
    masked = np.zeros((6, 20), dtype=bool)
    masked[:, 3:6] = True
    return small_loader.val.fixed_batch(np.arange(6), small_loader.vectors_NT, masked)


def changed(batch: Batch, **columns: torch.Tensor) -> Batch:
    return dataclasses.replace(batch, **columns)


def test_a_masked_events_fields_gap_and_position_cannot_be_seen(model: DualEncoder, batch: Batch):
    before = model(batch)
    ids = batch.ids_BLF.masked_fill(batch.masked_BL.unsqueeze(-1), 3)
    gaps = batch.gap_seconds_BL.masked_fill(batch.masked_BL, 999.0)
    xy = batch.xy_BL2.masked_fill(batch.masked_BL.unsqueeze(-1), 0.123)
    after = model(changed(batch, ids_BLF=ids, gap_seconds_BL=gaps, xy_BL2=xy))
    assert torch.equal(before.sensor_BD, after.sensor_BD)
    assert all(torch.equal(before.logits[name], after.logits[name]) for name in before.logits)


@pytest.mark.parametrize(
    "column", ["sensor", "room", "state", "sensor_type", "time_of_day", "time_gap", "day_of_week"]
)
def test_every_field_of_a_visible_event_changes_the_vector(
    model: DualEncoder, batch: Batch, column: str
):
    ids = batch.ids_BLF.clone()
    field = batch.fields.index(column)
    ids[:, 10, field] = (ids[:, 10, field] + 1) % model.sizes[column]
    assert not torch.equal(model(batch).sensor_BD, model(changed(batch, ids_BLF=ids)).sensor_BD)


def test_gap_and_position_of_a_visible_event_change_the_vector(model: DualEncoder, batch: Batch):
    before = model(batch).sensor_BD
    later = changed(batch, gap_seconds_BL=batch.gap_seconds_BL * 100.0)
    moved = changed(batch, xy_BL2=batch.xy_BL2 + 0.1)
    assert not torch.equal(before, model(later).sensor_BD)
    assert not torch.equal(before, model(moved).sensor_BD)


def test_what_stands_on_padding_changes_nothing(model: DualEncoder, batch: Batch):
    real = batch.real_BL.clone()
    real[0, 12:] = False
    tokens = with_cls(real).flatten().nonzero().squeeze(1)
    short = changed(batch, real_BL=real, tokens_R=tokens)
    ids = batch.ids_BLF.clone()
    ids[0, 12:] = 2
    gaps = batch.gap_seconds_BL.clone()
    gaps[0, 12:] = 5000.0
    before, after = model(short), model(changed(short, ids_BLF=ids, gap_seconds_BL=gaps))
    torch.testing.assert_close(before.sensor_BD, after.sensor_BD, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("positions", ["alibi", "rotary", "learned"])
def test_a_short_window_among_long_ones_has_the_vector_and_gradients_it_has_alone(
    positions: str, small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.positions": positions})
    torch.manual_seed(0)
    model = DualEncoder(recipe, small_loader.facts.sizes(), 16).double()
    shard = dataclasses.replace(
        small_loader.val, length_N=np.array([20, 7, 12, 2] + [20] * (len(small_loader.val) - 4))
    )

    def grads_of(*rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        batch = shard.fixed_batch(np.array(rows), small_loader.vectors_NT.double())
        found = model(doubled(batch)).sensor_BD
        found[-1].sum().backward()
        return found[-1].detach(), model.encoder.blocks[0].qkv.weight.grad.clone()

    for row in (1, 2, 3):
        for alone, among in zip(grads_of(row), grads_of(0, 2, row), strict=True):
            torch.testing.assert_close(among, alone, rtol=1e-6, atol=1e-9)


def doubled(batch: Batch) -> Batch:
    """What was measured in single precision, in double: the positions of sensors."""
    return changed(batch, xy_BL2=batch.xy_BL2.double())


def test_an_unknown_position_is_no_position(model: DualEncoder, batch: Batch):
    nowhere = changed(batch, xy_BL2=torch.full_like(batch.xy_BL2, float("nan")))
    found = model(nowhere).sensor_BD
    assert torch.isfinite(found).all()


def test_alibi_falls_with_distance_by_head_and_leaves_cls_alone():
    bias = attention_bias(3, heads=2, device=torch.device("cpu"))[0]
    slope = 2.0**-4  # the first of two heads
    assert bias[0].tolist() == [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, -slope, -2 * slope],
        [0.0, -slope, 0.0, -slope],
        [0.0, -2 * slope, -slope, 0.0],
    ]
    assert bias[1, 1, 3] == -2 * 2.0**-8


def test_both_sides_are_unit_vectors_and_masked_events_get_a_guess_a_field(
    model: DualEncoder, batch: Batch
):
    found = model(batch)
    for side in (found.sensor_BD, found.text_BD):
        torch.testing.assert_close(side.norm(dim=-1), torch.ones(6))
    assert {name: tuple(each.shape) for name, each in found.logits.items()} == {
        name: (18, size) for name, size in model.sizes.items()
    }
    assert (targets(batch, model.fields)["sensor"] == batch.ids["sensor"][:, 3:6].flatten()).all()


def test_dropout_is_on_with_draws_and_the_same_for_the_same_draws(model: DualEncoder, batch: Batch):
    still = model(batch).sensor_BD
    first, again, later = (
        model(changed(batch, dropout=RandomStreams(0, step, 0, 6))).sensor_BD for step in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, still)


def test_the_baseline_has_its_published_size():
    model = DualEncoder(Recipe(), {"sensor": 33, "room": 13}, 384)
    layer = 4 * 512 * 512 + 4 * 512 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
    encoder = sum(weight.numel() for weight in model.encoder.blocks.parameters())
    assert encoder == 4 * layer
    assert tuple(model.project_text.weight.shape) == (512, 384)


def test_the_temperature_is_learnable_unless_told_and_never_leaves_its_range(small_recipe: Recipe):
    learnable = DualEncoder(small_recipe, {"sensor": 4}, 16)
    fixed = DualEncoder(
        small_recipe.replace({"loss.temperature_learnable": False}), {"sensor": 4}, 16
    )
    assert learnable.log_temperature.requires_grad
    assert not fixed.log_temperature.requires_grad
    with torch.no_grad():
        learnable.log_temperature.fill_(-50.0)
    learnable.clamp_temperature()
    assert learnable.temperature.item() == pytest.approx(0.01)
    with torch.no_grad():
        learnable.log_temperature.fill_(50.0)
    learnable.clamp_temperature()
    assert learnable.temperature.item() == pytest.approx(0.5)


def test_a_hidden_gap_is_not_the_longest_gap(model: DualEncoder, batch: Batch):
    ids = batch.ids_BLF.clone()
    ids[:, 10, batch.fields.index("time_gap")] = MASK
    hidden = torch.zeros(*batch.real_BL.shape, len(GROUPS), dtype=torch.bool)
    gaps = batch.gap_seconds_BL.clone()
    gaps[:, 10] = 86_400.0
    seen = changed(batch, ids_BLF=ids, gap_seconds_BL=gaps, hidden_BLG=hidden.clone())
    hidden[:, 10, GROUPS.index("time_gap")] = True
    assert not torch.equal(model(seen).sensor_BD, model(changed(seen, hidden_BLG=hidden)).sensor_BD)


def test_time_starts_at_a_windows_first_event(batch: Batch):
    gaps = torch.zeros_like(batch.gap_seconds_BL)
    gaps[:, :3] = torch.tensor([7.0, 10.0, 20.0])
    angle = time_angles(changed(batch, gap_seconds_BL=gaps, masked_BL=batch.masked_BL & False), 4)
    # The second of two periods is a day. CLS and the first event stand at 0.
    seconds = angle[0, 0, :5, 1] / (2 * math.pi) * 86_400.0
    assert seconds.tolist() == pytest.approx([0.0, 0.0, 10.0, 30.0, 30.0])


def test_events_beyond_the_last_learned_position_share_it(
    small_recipe: Recipe, small_loader: Loader
):
    recipe = small_recipe.replace({"model.positions": "learned"})
    encoder = DualEncoder(recipe, small_loader.facts.sizes(), 16).encoder
    found = encoder._learned_positions(515)
    assert torch.equal(found[511], found[514])
    assert not torch.equal(found[510], found[511])


def test_every_place_of_dropout_has_draws_of_its_own(
    small_recipe: Recipe, small_loader: Loader, batch: Batch
):
    recipe = small_recipe.replace({"model.layers": 2})
    encoder = DualEncoder(recipe, small_loader.facts.sizes(), 16).encoder
    encoder.norm = torch.nn.Identity()
    with torch.no_grad():
        # Nothing comes in, and each of two attentions and two feed-forwards adds 1 to everything.
        encoder.cls.zero_()
        encoder.embedding.norm.weight.zero_()
        for block in encoder.blocks:
            for part in (block.out, block.down):
                part.weight.zero_()
                part.bias.fill_(1.0)
        streams = RandomStreams(0, 1, 0, 6)
        dropped = changed(batch, dropout=streams)
        found = encoder(dropped, encoder.dropout_of(dropped))
    kept = streams.kept(5, 21 * 32, dropout=0.25, device=torch.device("cpu")).view(5, 6, 21, 32)
    # A quarter is dropped, so each 1 that is kept has become 4/3; the first use is the embedding's.
    torch.testing.assert_close(found, kept[1:].sum(0) * (4 / 3))
