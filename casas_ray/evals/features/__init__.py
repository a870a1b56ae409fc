"""Windows as vectors, whoever makes them: one interface for hand-made and learned features."""
