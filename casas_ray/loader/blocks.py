"""Neighbouring windows that share what is read: one pass gives the vectors of all of them."""

# N windows of a whole split, C blocks, J windows a block

import dataclasses
from dataclasses import dataclass

import numpy as np

from casas_ray.loader.event_records import Ints


@dataclass(frozen=True)
class Blocks:
    """Blocks of J windows one after another, none across days of another split."""

    windows_CJ: Ints
    """Rows of the store."""

    length_C: Ints
    """Events from the first of the first window to the last of the last."""

    @classmethod
    def of(cls, first_N: Ints, length_N: Ints, stretch_N: Ints, windows: int) -> "Blocks":
        """The blocks of windows that begin at these records and lie in these stretches.

        Each window is in one block; where the windows of a stretch do not divide, its last block
        has windows of the one before again. A stretch of fewer windows has none.
        """
        edges = np.flatnonzero(np.diff(stretch_N, prepend=-1, append=-1))
        starts = [
            start
            for first, after in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            for start in _starts(first, after, windows)
        ]
        windows_CJ = np.array(starts, dtype=np.int64)[:, None] + np.arange(windows)
        ends_C = (first_N + length_N)[windows_CJ].max(axis=1, initial=0)
        return cls(windows_CJ, ends_C - first_N[windows_CJ[:, 0]])

    def taken(self, rows: Ints) -> "Blocks":
        """The blocks at these rows."""
        return dataclasses.replace(
            self, windows_CJ=self.windows_CJ[rows], length_C=self.length_C[rows]
        )


def _starts(first: int, after: int, windows: int) -> list[int]:
    whole = [*range(first, after - windows + 1, windows)]
    return whole if not whole or whole[-1] == after - windows else [*whole, after - windows]
