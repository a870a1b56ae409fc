"""Random numbers by address: what a window streams at a step is the same on any worker.

Numbers come from Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a
counter-based generator: a worker that holds rows 32 to 63 of a batch starts the counter at row 32
and sees what the only worker of a one-worker run would see there. So neither the number of workers
nor a resume changes a mask or a dropout, and no generator state is saved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from casas_ray.loader import philox

_WORD_BYTES = 8
_BLOCK_BYTES = 32  # one Philox counter step gives four 64-bit words


class Stream(IntEnum):
    """What the numbers are for; every use of numbers within a step has its own."""

    CAPTION = 1
    MASK_SPAN = 2
    MASK_PRIORITY = 3
    MASK_TURN = 4
    MASK_HIDE = 5
    MASK_BLACKOUT = 6
    MASK_KIND = 7
    MASK_OTHER = 8
    DROPOUT = 16


@dataclass(frozen=True)
class RandomStreams:
    """The numbers of one step for rows [first_row, first_row + rows) of the global batch."""

    seed: int
    step: int
    first_row: int
    rows: int

    def part(self, start: int, stop: int) -> "RandomStreams":
        """The numbers of some of these rows."""
        return RandomStreams(self.seed, self.step, self.first_row + start, stop - start)

    def octets(self, site: int, width: int) -> NDArray[np.uint8]:
        """Uniform bytes, rows x width."""
        blocks = -(-width // _BLOCK_BYTES)
        bits = np.random.Philox(key=[self.seed, self._second_key(site)])
        bits.advance(self.first_row * blocks)
        words = bits.random_raw(self.rows * blocks * (_BLOCK_BYTES // _WORD_BYTES))
        return words.view(np.uint8).reshape(self.rows, -1)[:, :width]

    def uniform(self, site: int, width: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), rows x width, in steps of 2**-32."""
        octets = np.ascontiguousarray(self.octets(site, 4 * width))
        return octets.view("<u4") * 2.0**-32

    def choice(self, site: int, options: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """One number in 0..options-1 a row; every row may have its own number of options."""
        return (self.uniform(site, 1)[:, 0] * options).astype(np.int64)

    def kept(self, uses: int, width: int, *, dropout: float, device: torch.device) -> Tensor:
        """What dropout keeps, uses x rows x width, True with the rate's chance rounded to 1/256.

        On a GPU the same numbers are drawn there.
        """
        threshold = round(dropout * 256)
        if device.type == "cuda":
            return self.octets_on(device, uses, width, philox.compiled()) >= threshold
        found = np.empty((uses, self.rows, width), dtype=bool)
        for use in range(uses):
            np.greater_equal(self.octets(Stream.DROPOUT + use, width), threshold, out=found[use])
        return torch.from_numpy(found)

    def octets_on(
        self,
        device: torch.device,
        uses: int,
        width: int,
        words: Callable[[Tensor, Tensor], Tensor] = philox.blocks,
    ) -> Tensor:
        """The uniform bytes of the first `uses` sites of dropout, uses x rows x width, drawn on a
        device."""
        each = -(-width // _BLOCK_BYTES)
        first = self.first_row * each + 1  # numpy's generator counts before it streams
        counter = torch.arange(first, first + self.rows * each, device=device)
        keys = [[self.seed, self._second_key(Stream.DROPOUT + use)] for use in range(uses)]
        found = words(counter, torch.tensor(keys, device=device)).view(torch.uint8)
        return found.view(uses, self.rows, -1)[..., :width]

    def _second_key(self, site: int) -> int:
        return (self.step << 16) | site


def keep_factor(dropout: float) -> float:
    """What the kept entries are multiplied by, exact for the rounded rate."""
    return 256.0 / (256 - round(dropout * 256))
