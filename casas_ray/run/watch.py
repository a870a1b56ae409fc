"""What the ledger keeps of weights and gradients: a histogram each, small enough for a line."""

from typing import Any

import torch
from torch import nn

BINS = 32

Histogram = dict[str, Any]
"""`low` and `high` of the range, and `counts` of BINS equal parts of it."""


@torch.no_grad()
def histograms(model: nn.Module, *, parameters: bool, gradients: bool) -> dict[str, Histogram]:
    """By `parameters/NAME` and `gradients/NAME`; what is not finite is left out."""
    found: dict[str, Histogram] = {}
    for name, weight in model.named_parameters():
        if parameters:
            found[f"parameters/{name}"] = _histogram(weight)
        if gradients and weight.grad is not None:
            found[f"gradients/{name}"] = _histogram(weight.grad)
    return found


def _histogram(values: torch.Tensor) -> Histogram:
    flat = values.detach().float().flatten()
    flat = flat[torch.isfinite(flat)].cpu()
    if not len(flat):
        return {"low": 0.0, "high": 0.0, "counts": [0] * BINS}
    low, high = float(flat.min()), float(flat.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(flat, BINS, low, high)
    return {"low": low, "high": high, "counts": counts.int().tolist()}
