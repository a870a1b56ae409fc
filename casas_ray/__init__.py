"""Dual encoders that align smart-home sensor events with text, as Ray experiments."""

__version__ = "0.1.0"
