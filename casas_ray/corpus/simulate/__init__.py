"""A simulated home, with its truth."""
