"""Losses against values worked out by hand, and exact over workers."""

import math

import pytest
import torch

from casas_ray.config import LossConfig
from casas_ray.model.losses import (
    Goal,
    contrastive,
    goal_of,
    in_batch_accuracy,
    masked_event_loss,
    scores,
)


def test_equal_scores_cost_the_logarithm_of_the_batch():
    assert contrastive(torch.zeros(4, 4)).item() == pytest.approx(math.log(4))


def test_infonce_by_hand():
    # Window 0 is sure of its caption by 2, window 1 by 0.
    loss = contrastive(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    rows = (math.log(math.exp(2) + 1) - 2 + math.log(2)) / 2
    assert loss.item() == pytest.approx(rows)  # the columns hold the same numbers


def test_scores_are_cosines_over_the_temperature():
    a = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = scores(a, a, torch.tensor(0.5))
    assert found.flatten().tolist() == pytest.approx([2.0, 1.2, 1.2, 2.0])


def test_an_equal_caption_counts_as_the_windows_own():
    similarity = torch.tensor([[0.1, 0.9, 0.0], [0.0, 0.9, 0.1], [0.9, 0.0, 0.1]])
    captions = torch.tensor([7, 7, 8])  # windows 0 and 1 are described alike
    to_text, to_sensor = in_batch_accuracy(similarity, captions)
    assert to_text.item() == pytest.approx(2 / 3)
    assert to_sensor.item() == pytest.approx(1 / 3)


def test_soft_targets_are_spread_over_the_captions_of_each_window():
    text = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])  # cosines 0.6, 0 and 0.8
    config = LossConfig(soft_targets=0.5, soft_temperature=1.0)
    target = goal_of(torch.eye(3, dtype=torch.bool), text, config).target_GG
    every = math.exp(0.6) + math.exp(1.0) + math.exp(0.8)
    wanted = [0.5 * math.exp(0.6) / every, 0.5 + 0.5 * math.exp(1.0) / every]
    assert target[1, :2].tolist() == pytest.approx(wanted)
    assert target.sum(1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_captions_are_scored_by_the_columns_of_the_target():
    scores = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    # Both captions are right for window 0, and only caption 1 for window 1.
    goal = Goal(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    sure = math.log(math.exp(2) + 1)
    windows = ((sure - 2 + sure) / 2 + math.log(2)) / 2
    captions = (sure - 2 + math.log(2)) / 2
    assert contrastive(scores, goal).item() == pytest.approx((windows + captions) / 2)


def test_a_field_that_nobody_is_asked_for_counts_in_no_mean():
    logits = {"a": torch.zeros(2, 4), "b": torch.zeros(2, 8)}
    targets = {"a": torch.tensor([0, 3]), "b": torch.tensor([-100, -100])}
    assert masked_event_loss(logits, targets).item() == pytest.approx(math.log(4))


def test_masked_event_loss_is_the_mean_over_fields_and_events():
    logits = {"a": torch.zeros(2, 4), "b": torch.zeros(2, 8)}
    targets = {"a": torch.tensor([0, 3]), "b": torch.tensor([1, 1])}
    wanted = (math.log(4) + math.log(8)) / 2
    assert masked_event_loss(logits, targets).item() == pytest.approx(wanted)
