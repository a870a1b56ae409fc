"""A frozen model's linear layers by oneDNN, quicker than MKL on CPUs that are not Intel's."""

# M tokens, I and O sizes of a layer's input and output

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Module):
    """A linear layer whose product oneDNN computes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(self, x_MI: Tensor) -> Tensor:
        """The layer's output, M x O."""
        # What torch.compile calls for a linear layer on a CPU; here no compiler is wanted.
        return torch.ops.mkldnn._linear_pointwise(x_MI, self.weight, self.bias, "none", [], "")


def by_onednn(model: nn.Module) -> nn.Module:
    """The model on this CPU, its linear layers in fp32 changed for oneDNN's where this torch has
    it: the same products but for their last bits (docs/findings.md)."""
    if not (torch.backends.mkldnn.is_available() and _has_operator()):
        return model
    for module in model.modules():
        for name, child in list(module.named_children()):
            # Not its subclasses, which may be called in other ways.
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(module, name, OneDnnLinear(child))
    return model


def _has_operator() -> bool:
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")
