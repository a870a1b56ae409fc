"""What a command said besides what it waits for."""


def told(err: str) -> list[str]:
    """The lines of an error and its hint, without those of progress, which a slow machine shows."""
    return [line for line in err.strip().splitlines() if not line.endswith(" ...")]
