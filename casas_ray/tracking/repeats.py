"""Which rows of a ledger say again what an earlier row said."""

from casas_ray.records.rows import Row


class Repeats:
    """What was heard of one run so far.

    A training that is taken up again redoes some steps; their rows are the same numbers, and a view
    that heard the first needs no second.
    """

    def __init__(self) -> None:
        self._heard: set[tuple[int, str]] = set()

    def is_repeated(self, row: Row) -> bool:
        """Whether a row of this kind for this step was heard before; remembers it."""
        # By step and kind, for one step can have rows of training, validation and histograms.
        key = (row["step"], _kind_of(row))
        if (
            row["event"] not in ("metrics", "histograms", "model", "graph")
            or key not in self._heard
        ):
            self._heard.add(key)
            return False
        return True


def _kind_of(row: Row) -> str:
    """What a row is about: train, val, histograms, graph, or which model."""
    if row["event"] == "metrics":
        return next(iter(row["metrics"]), "").partition("/")[0]
    return f"{row['event']}{row.get('which', '')}"
