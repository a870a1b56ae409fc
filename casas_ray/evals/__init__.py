"""Opening and judging a trained run: tensors, never a cluster."""
