"""Retrieval metrics on matrices a person can rank."""

import pytest
import torch

from casas_ray.model.metrics import (
    average_precision,
    chance_recall,
    geometry,
    ndcg,
    recall,
    retrieval,
)

OWN = torch.eye(2, dtype=torch.bool)


def test_recall_at_one_counts_only_the_true_caption_in_first_place():
    similarity = torch.tensor([[0.9, 0.1], [0.8, 0.2]])  # the second window prefers caption 0
    assert recall(similarity, OWN, k=1) == 0.5
    assert recall(similarity, OWN, k=2) == 1.0


def test_a_tie_counts_against_the_query():
    # An encoder that says the same of everything has found nothing.
    assert recall(torch.zeros(4, 4), torch.eye(4, dtype=torch.bool), k=1) == 0.0
    assert recall(torch.zeros(4, 4), torch.eye(4, dtype=torch.bool), k=4) == 1.0


def test_the_best_of_several_relevant_entries_counts():
    relevant = torch.tensor([[True, False, True]])
    assert recall(torch.tensor([[0.1, 0.5, 0.9]]), relevant, k=1) == 1.0


def test_chance_is_k_over_the_gallery_and_more_with_more_relevant_entries():
    assert chance_recall(torch.eye(10, dtype=torch.bool), k=1) == pytest.approx(0.1)
    assert chance_recall(torch.eye(10, dtype=torch.bool), k=5) == pytest.approx(0.5)
    two_of_four = torch.tensor([[True, True, False, False]])
    assert chance_recall(two_of_four, k=2) == pytest.approx(1 - (2 / 4) * (1 / 3))


def test_retrieval_ranks_both_ways_over_the_whole_gallery():
    sensor = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    found = retrieval(sensor, text, torch.tensor([0, 1]))
    # Windows: 0.6 beats 0.0, and 1.0 beats 0.8. Captions: caption 0 prefers window 1 (0.8 to 0.6).
    assert found["recall@1"] == 1.0
    assert found["text_recall@1"] == 0.5
    assert found["chance_recall@1"] == 0.5
    assert found["gallery"] == 2.0
    assert found["recall_mean"] == pytest.approx((1.0 + 0.5 + 4 * 1.0) / 6)
    assert found["chance_recall_mean"] == pytest.approx((0.5 + 1.0 + 1.0) / 3)
    # Caption 0 finds its window second: a gain of 1 / log2(3) = 0.631, and a precision of a half.
    assert (found["ndcg@10"], found["map"]) == (1.0, 1.0)
    assert found["text_ndcg@10"] == pytest.approx((0.6309 + 1.0) / 2, abs=1e-4)
    assert found["text_map"] == pytest.approx(0.75)


def test_more_relevant_entries_than_are_looked_at_can_all_be_found():
    relevant = torch.tensor([[True, True, True, False]])
    assert ndcg(torch.tensor([[0.9, 0.8, 0.1, 0.0]]), relevant, k=2) == pytest.approx(1.0)
    # The second of two is wrong: 1 of 1 + 1 / log2(3).
    found = ndcg(torch.tensor([[0.9, 0.1, 0.2, 0.8]]), relevant, k=2)
    assert found == pytest.approx(1 / 1.6309, abs=1e-4)


def test_an_equal_caption_is_relevant():
    sensor = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[0.0, 1.0], [1.0, 0.0]])  # crosswise, but said alike
    assert retrieval(sensor, text, torch.tensor([5, 5]))["recall@1"] == 1.0
    assert retrieval(sensor, text, torch.tensor([5, 6]))["recall@1"] == 0.0


def test_recall_ndcg_and_map_agree_with_torchmetrics():
    from torchmetrics.functional.retrieval import (
        retrieval_average_precision,
        retrieval_hit_rate,
        retrieval_normalized_dcg,
    )

    generator = torch.Generator().manual_seed(0)
    # Positive: torchmetrics takes an entry of a score of 0 or less for irrelevant.
    similarity = torch.rand(40, 60, generator=generator)
    relevant = torch.rand(40, 60, generator=generator) < 0.05
    relevant[torch.arange(40), torch.arange(40)] = True
    pairs = list(zip(similarity, relevant, strict=True))

    def mean(metric, **more) -> float:
        return torch.stack([metric(one, other, **more) for one, other in pairs]).mean().item()

    for k in (1, 5, 10):
        assert recall(similarity, relevant, k=k) == pytest.approx(mean(retrieval_hit_rate, top_k=k))
    assert ndcg(similarity, relevant, k=10) == pytest.approx(
        mean(retrieval_normalized_dcg, top_k=10), abs=1e-6
    )
    assert average_precision(similarity, relevant) == pytest.approx(
        mean(retrieval_average_precision), abs=1e-6
    )


def test_right_pairs_apart_from_wrong_ones_and_windows_apart_from_each_other():
    sensor = torch.eye(3)
    found = geometry(sensor, sensor, torch.eye(3, dtype=torch.bool))
    assert found["cosine_gap"] == 1.0
    assert found["spread"] == pytest.approx(1 - 3**-0.5)
    same = torch.tensor([[1.0, 0.0]] * 3)
    assert geometry(same, same, torch.eye(3, dtype=torch.bool))["spread"] == pytest.approx(0.0)
