"""From windows to batches: which, in what order, with which masks."""
