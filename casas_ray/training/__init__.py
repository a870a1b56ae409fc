"""The loop, its step, and what it records; no cluster."""
