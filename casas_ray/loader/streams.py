"""Random numbers by address: what a window draws at a step is the same on any worker.

Numbers come from Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a
counter-based generator: a worker that holds rows 32 to 63 of a batch starts the counter at row 32
and sees what the only worker of a one-worker run would see there. So neither the number of workers
nor a resume changes a mask or a dropout, and no generator state is saved.
"""

# R rows of the global batch that this worker holds, U uses of dropout, X bytes or numbers a row,
# N Philox counters

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

    # Addresses: a number that is changed or given twice changes every run of a seed.

    CAPTION = 1
    MASK_SPAN = 2
    MASK_PRIORITY = 3
    MASK_TURN = 4
    MASK_HIDE = 5
    MASK_BLACKOUT = 6
    MASK_KIND = 7
    MASK_OTHER = 8
    # The last: each use of dropout within a pass takes the next number after it.
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
        """Uniform bytes, R x `width`, for one use; `site` is a Stream or a number after DROPOUT."""
        # Whole blocks a row: a row begins at row x blocks, so the width is part of the address.
        blocks = -(-width // _BLOCK_BYTES)
        bits = np.random.Philox(key=[self.seed, self._second_key(site)])
        bits.advance(self.first_row * blocks)
        words = bits.random_raw(self.rows * blocks * (_BLOCK_BYTES // _WORD_BYTES))
        return words.view(np.uint8).reshape(self.rows, -1)[:, :width]

    def uniform(self, site: int, width: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), R x `width`, in steps of 2**-32."""
        octets_RX = np.ascontiguousarray(self.octets(site, 4 * width))
        return octets_RX.view("<u4") * 2.0**-32

    def choice(self, site: int, options_R: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """One number from 0 to below its options for each row, R; one number of options does for
        all rows."""
        return (self.uniform(site, 1)[:, 0] * options_R).astype(np.int64)

    def kept(self, uses: int, width: int, *, dropout: float, device: torch.device) -> Tensor:
        """What dropout keeps, U x R x `width`: False with the chance `dropout`, rounded to 1/256.

        On a GPU the same numbers are drawn there.
        """
        threshold = round(dropout * 256)
        if device.type == "cuda":
            return self.octets_on(device, uses, width, philox.compiled()) >= threshold
        kept_URX = np.empty((uses, self.rows, width), dtype=bool)
        for use in range(uses):
            octets_RX = self.octets(Stream.DROPOUT + use, width)
            np.greater_equal(octets_RX, threshold, out=kept_URX[use])
        return torch.from_numpy(kept_URX)

    def octets_on(
        self,
        device: torch.device,
        uses: int,
        width: int,
        words: Callable[[Tensor, Tensor], Tensor] = philox.blocks,
    ) -> Tensor:
        """The uniform bytes of the first U uses of dropout, U x R x `width`, drawn on a device."""
        blocks = -(-width // _BLOCK_BYTES)
        first = self.first_row * blocks + 1  # numpy's generator counts before it draws
        counter_N = torch.arange(first, first + self.rows * blocks, device=device)
        # Made where they are used: a list would be copied there, and the step would wait for it.
        second = self._second_key(Stream.DROPOUT)
        second_U = torch.arange(second, second + uses, device=device)
        keys_U2 = torch.stack([torch.full_like(second_U, self.seed), second_U], dim=1)
        octets = words(counter_N, keys_U2).view(torch.uint8)
        return octets.view(uses, self.rows, -1)[..., :width]

    def _second_key(self, site: int) -> int:
        # Sites have the lower 16 bits: one beyond would draw the numbers of another step.
        return (self.step << 16) | site


def keep_factor(dropout: float) -> float:
    """What the kept entries are multiplied by, exact for the rounded rate."""
    return 256.0 / (256 - round(dropout * 256))
