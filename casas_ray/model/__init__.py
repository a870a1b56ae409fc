"""Tensors, and never a cluster: the encoder, the losses and one training step."""
