"""Running experiments: the only wing that may import ray."""
