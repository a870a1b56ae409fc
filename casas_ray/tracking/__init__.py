"""Mirrors of a run's ledger: the only room that imports W&B or TensorBoard."""
