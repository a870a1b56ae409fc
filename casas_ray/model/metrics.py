"""Retrieval metrics, ranked over the whole gallery."""

# N queries, G gallery entries

import torch
from torch import Tensor

RECALL_AT = (1, 5, 10)
_ROWS = 1024


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


def ndcg(similarity_NG: Tensor, relevant_NG: Tensor, *, k: int) -> float:
    """Normalised discounted cumulative gain of the first k (Järvelin and Kekäläinen 2002), every
    relevant entry worth the same; the mean over queries."""
    k = min(k, similarity_NG.shape[1])
    first_NK = similarity_NG.topk(k, dim=1).indices
    gain_NK = relevant_NG.gather(1, first_NK).double()
    discount_K = 1.0 / torch.arange(2, k + 2, device=gain_NK.device).double().log2()
    most_N = relevant_NG.sum(1).clamp(max=k)
    ideal_N = torch.cat([discount_K.new_zeros(1), discount_K.cumsum(0)])[most_N]
    return ((gain_NK * discount_K).sum(1) / ideal_N).mean().item()


def average_precision(similarity_NG: Tensor, relevant_NG: Tensor) -> float:
    """Mean over queries of the mean precision at each relevant entry of the whole ranking."""
    found = []
    for similar, relevant in zip(
        similarity_NG.split(_ROWS), relevant_NG.split(_ROWS), strict=True
    ):  # sorted piece by piece: a whole gallery's order would be eight bytes a pair
        hit = relevant.gather(1, similar.argsort(dim=1, descending=True)).double()
        place = torch.arange(1, hit.shape[1] + 1, device=hit.device).double()
        found.append((hit * hit.cumsum(1) / place).sum(1) / hit.sum(1))
    return torch.cat(found).mean().item()


def geometry(sensor_ND: Tensor, text_ND: Tensor, relevant_NN: Tensor) -> dict[str, float]:
    """How far right pairs are from wrong ones, and how far the windows spread.

    `cosine_right` and `cosine_wrong` are mean cosines of pairs; `spread` is 1 less the length of
    the mean window vector: 0 where all windows lie on one spot.
    """
    similarity = sensor_ND @ text_ND.T
    right = similarity[relevant_NN].mean().item()
    wrong = similarity[~relevant_NN].mean().item() if (~relevant_NN).any() else right
    return {
        "cosine_right": right,
        "cosine_wrong": wrong,
        "cosine_gap": right - wrong,
        "spread": 1.0 - sensor_ND.mean(0).norm().item(),
    }


def retrieval(sensor_ND: Tensor, text_ND: Tensor, caption_N: Tensor) -> dict[str, float]:
    """Recall, nDCG@10 and mean average precision both ways, and what chance would give for the
    recall; an equal caption is relevant.

    `recall@k` asks with a window for its caption, `text_recall@k` with a caption for its window.
    """
    similarity = sensor_ND @ text_ND.T
    relevant = caption_N[:, None] == caption_N[None, :]
    found: dict[str, float] = {}
    for k in RECALL_AT:
        found[f"recall@{k}"] = recall(similarity, relevant, k=k)
        found[f"text_recall@{k}"] = recall(similarity.T, relevant.T, k=k)
    found["recall_mean"] = sum(found.values()) / len(found)
    for prefix, side in (("", similarity), ("text_", similarity.T)):
        found[f"{prefix}ndcg@10"] = ndcg(side, relevant, k=10)
        found[f"{prefix}map"] = average_precision(side, relevant)
    found["ndcg_mean"] = 0.5 * (found["ndcg@10"] + found["text_ndcg@10"])
    chance = [chance_recall(relevant, k=k) for k in RECALL_AT]
    found |= {f"chance_recall@{k}": value for k, value in zip(RECALL_AT, chance, strict=True)}
    found["chance_recall_mean"] = sum(chance) / len(chance)
    found["gallery"] = float(len(caption_N))
    return found | geometry(sensor_ND, text_ND, relevant)
