"""Running experiments: the only room that may import ray."""
