"""Judging a trained model: tensors, never a cluster."""
