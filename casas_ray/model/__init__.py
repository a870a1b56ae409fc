"""Tensors, and never a cluster: the encoder, the text tower, the losses and their metrics."""
