"""Retrieval metrics, ranked over the whole gallery."""

# N queries, G gallery entries, K of them that are looked at, D embedding size; where windows are
# ranked against their own captions, G is N

import torch
from torch import Tensor

RECALL_AT = (1, 5, 10)
_ROWS = 1024


def first_hit(similarity_NG: Tensor, relevant_NG: Tensor) -> Tensor:
    """For each query the rank, from 0, of its best relevant entry, N; ties count against the
    query."""
    # A model that says the same of everything must earn nothing: with ties for it, it earned 1.
    best_N = similarity_NG.masked_fill(~relevant_NG, float("-inf")).amax(1)
    ahead_NG = (similarity_NG >= best_N[:, None]) & ~relevant_NG
    return ahead_NG.sum(1)


def recall(similarity_NG: Tensor, relevant_NG: Tensor, *, k: int) -> float:
    """The share of queries with a relevant entry among their first k."""
    return (first_hit(similarity_NG, relevant_NG) < k).double().mean().item()


def chance_recall(relevant_NG: Tensor, *, k: int) -> float:
    """The recall@k that a random ranking has on average over the same gallery."""
    gallery = relevant_NG.shape[1]
    wrong_N = gallery - relevant_NG.sum(1).double()
    miss_N = torch.ones_like(wrong_N)
    for drawn in range(min(k, gallery)):
        miss_N = miss_N * ((wrong_N - drawn).clamp(min=0.0) / (gallery - drawn))
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
    """The mean over queries of the mean precision at each relevant entry of the whole ranking."""
    precisions = []
    # Sorted piece by piece: the order of a whole gallery would be eight bytes a pair.
    pieces = zip(similarity_NG.split(_ROWS), relevant_NG.split(_ROWS), strict=True)
    for piece_NG, right_NG in pieces:
        hit_NG = right_NG.gather(1, piece_NG.argsort(dim=1, descending=True)).double()
        rank_G = torch.arange(1, hit_NG.shape[1] + 1, device=hit_NG.device).double()
        precisions.append((hit_NG * hit_NG.cumsum(1) / rank_G).sum(1) / hit_NG.sum(1))
    return torch.cat(precisions).mean().item()


def geometry(sensor_ND: Tensor, text_ND: Tensor, relevant_NN: Tensor) -> dict[str, float]:
    """How far right pairs are from wrong ones, and how far the windows spread.

    `cosine_right` and `cosine_wrong` are mean cosines of pairs; `spread` is 1 less the length of
    the mean window vector: 0 where all windows lie on one spot.
    """
    similarity_NN = sensor_ND @ text_ND.T
    right = similarity_NN[relevant_NN].mean().item()
    wrong = similarity_NN[~relevant_NN].mean().item() if (~relevant_NN).any() else right
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
    similarity_NN = sensor_ND @ text_ND.T
    relevant_NN = caption_N[:, None] == caption_N[None, :]
    metrics: dict[str, float] = {}
    for k in RECALL_AT:
        metrics[f"recall@{k}"] = recall(similarity_NN, relevant_NN, k=k)
        metrics[f"text_recall@{k}"] = recall(similarity_NN.T, relevant_NN.T, k=k)
    # Here and not later: the mean is of recalls only, whatever else is put in below.
    metrics["recall_mean"] = sum(metrics.values()) / len(metrics)
    # `relevant_NN` is its own transpose: equal captions are equal both ways.
    for prefix, side_NN in (("", similarity_NN), ("text_", similarity_NN.T)):
        metrics[f"{prefix}ndcg@10"] = ndcg(side_NN, relevant_NN, k=10)
        metrics[f"{prefix}map"] = average_precision(side_NN, relevant_NN)
    metrics["ndcg_mean"] = 0.5 * (metrics["ndcg@10"] + metrics["text_ndcg@10"])
    chance = [chance_recall(relevant_NN, k=k) for k in RECALL_AT]
    metrics |= {f"chance_recall@{k}": value for k, value in zip(RECALL_AT, chance, strict=True)}
    metrics["chance_recall_mean"] = sum(chance) / len(chance)
    # Recall falls as the gallery grows: a number without its gallery compares with nothing.
    metrics["gallery"] = float(len(caption_N))
    return metrics | geometry(sensor_ND, text_ND, relevant_NN)
