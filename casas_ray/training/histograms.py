"""What the ledger keeps of a model: its parts, and a histogram a weight, small enough for a
line."""

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


def structure(model: nn.Module) -> list[dict[str, Any]]:
    """The parts of a model that hold weights, in order: name, kind, shapes of the weights, and the
    size of the last axis of what comes out where the kind tells."""
    parts = []
    for name, module in model.named_modules():
        weights = {key: list(one.shape) for key, one in module.named_parameters(recurse=False)}
        if weights:
            kind = type(module).__name__
            out = getattr(module, "out_features", None) or getattr(module, "normalized_shape", ())
            output = [out] if isinstance(out, int) else list(out)
            parts.append(
                {"name": name or kind, "kind": kind, "parameters": weights, "output": output}
            )
    return parts
