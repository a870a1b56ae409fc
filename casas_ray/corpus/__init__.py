"""From a raw log to an alignment set: no tensors, no cluster."""
