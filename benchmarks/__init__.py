"""Figures, measured: ratios within one run, never tests."""
