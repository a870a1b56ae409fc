"""What the ledger keeps of a model: its parts, and a histogram a weight, short enough for a row."""

from typing import Any

import torch
from torch import nn

BINS = 32

Histogram = dict[str, float | list[int]]
"""`low` and `high` of the range, and `counts` of BINS equal parts of it."""

Part = dict[str, Any]  # Any: what JSON holds


@torch.no_grad()
def histograms(model: nn.Module, *, parameters: bool, gradients: bool) -> dict[str, Histogram]:
    """The histograms of weights and of their gradients, by `parameters/NAME` and `gradients/NAME`;
    entries that are not finite are left out."""
    drawn: dict[str, Histogram] = {}
    for name, weight in model.named_parameters():
        if parameters:
            drawn[f"parameters/{name}"] = _histogram(weight)
        if gradients and weight.grad is not None:
            drawn[f"gradients/{name}"] = _histogram(weight.grad)
    return drawn


def _histogram(values: torch.Tensor) -> Histogram:
    """Of a tensor of any shape."""
    flat = values.detach().float().flatten()
    flat = flat[torch.isfinite(flat)].cpu()
    if not len(flat):
        return {"low": 0.0, "high": 0.0, "counts": [0] * BINS}
    low, high = float(flat.min()), float(flat.max())
    if low == high:  # histc takes equal ends for none given, and picks its own
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(flat, BINS, low, high)
    return {"low": low, "high": high, "counts": counts.int().tolist()}


def structure(model: nn.Module) -> list[Part]:
    """The parts of a model that hold weights, in order: name, kind, shapes of the weights, and the
    size of the last axis of what comes out where the kind tells."""
    parts: list[Part] = []
    for name, module in model.named_modules():
        named = module.named_parameters(recurse=False)
        weights = {key: list(weight.shape) for key, weight in named}
        if weights:
            kind = type(module).__name__
            out = getattr(module, "out_features", None) or getattr(module, "normalized_shape", ())
            output = [out] if isinstance(out, int) else list(out)
            parts.append(
                {"name": name or kind, "kind": kind, "parameters": weights, "output": output}
            )
    return parts
