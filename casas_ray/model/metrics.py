"""Retrieval metrics, ranked over the whole gallery."""

# N queries, G gallery entries

import torch
from torch import Tensor

RECALL_AT = (1, 5, 10)


def first_hit(similarity_NG: Tensor, relevant_NG: Tensor) -> Tensor:
    """For each query the place, from 0, of its best relevant entry; ties count against the
    query."""
    best_N = similarity_NG.masked_fill(~relevant_NG, float("-inf")).amax(1)
    ahead_NG = (similarity_NG >= best_N[:, None]) & ~relevant_NG
    return ahead_NG.sum(1)


def recall(similarity_NG: Tensor, relevant_NG: Tensor, *, k: int) -> float:
    """Share of queries with a relevant entry among their first k."""
    return (first_hit(similarity_NG, relevant_NG) < k).double().mean().item()


def chance_recall(relevant_NG: Tensor, *, k: int) -> float:
    """The recall@k that a random ranking has on average over the same gallery."""
    gallery = relevant_NG.shape[1]
    wrong_N = gallery - relevant_NG.sum(1).double()
    miss_N = torch.ones_like(wrong_N)
    for place in range(min(k, gallery)):
        miss_N = miss_N * ((wrong_N - place).clamp(min=0.0) / (gallery - place))
    return (1.0 - miss_N).mean().item()


def retrieval(sensor_ND: Tensor, text_ND: Tensor, caption_N: Tensor) -> dict[str, float]:
    """Recall both ways, its mean, and what chance would give; an equal caption is relevant.

    `recall@k` asks with a window for its caption, `text_recall@k` with a caption for its window.
    """
    similarity = sensor_ND @ text_ND.T
    relevant = caption_N[:, None] == caption_N[None, :]
    found: dict[str, float] = {}
    for k in RECALL_AT:
        found[f"recall@{k}"] = recall(similarity, relevant, k=k)
        found[f"text_recall@{k}"] = recall(similarity.T, relevant.T, k=k)
    found["recall_mean"] = sum(found.values()) / len(found)
    chance = [chance_recall(relevant, k=k) for k in RECALL_AT]
    found |= {f"chance_recall@{k}": value for k, value in zip(RECALL_AT, chance, strict=True)}
    found["chance_recall_mean"] = sum(chance) / len(chance)
    found["gallery"] = float(len(caption_N))
    return found
