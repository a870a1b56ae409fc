"""What sensors said before a chunk of events, as one vector: a sum over sensors, which fits any
home."""

# B windows, K sensors of the split, W width, V ids of a field, T text size

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import ModelConfig
from casas_ray.loader.batch import Batch

_PARTS = 3


class SensorState(nn.Module):
    """For each sensor that was heard: how long ago, that it was heard, and what it said.

    A sensor's three vectors are its own, or a map of what it is in words.
    """

    def __init__(self, config: ModelConfig, sizes: Mapping[str, int], text_size: int) -> None:
        super().__init__()
        self.describes = config.sensor_text
        if config.sensor_text:
            self.describe = nn.Linear(text_size, _PARTS * config.width, bias=False)
        else:
            self.table = nn.Parameter(torch.randn(sizes["sensor"], _PARTS * config.width) * 0.02)
        # Around 1: it multiplies a sensor's vector, so that ON and OFF part from the first step on.
        self.said = nn.Parameter(torch.randn(sizes["state"], config.width))

    def forward(self, batch: Batch) -> Tensor:
        """What is remembered at the start of each window's chunk, B x W; 0 where nothing is."""
        assert batch.since_BK is not None and batch.said_BK is not None
        since_KW, heard_KW, said_KW = self._of_sensors(batch).chunk(_PARTS, dim=1)
        heard_BK = (batch.said_BK > 0).to(since_KW.dtype)
        told_BKW = F.embedding(batch.said_BK, self.said.to(since_KW.dtype)) * said_KW
        told_BW = (told_BKW * heard_BK.unsqueeze(-1)).sum(1)
        return batch.since_BK.to(since_KW.dtype) @ since_KW + heard_BK @ heard_KW + told_BW

    def _of_sensors(self, batch: Batch) -> Tensor:
        assert batch.sensor_K is not None and batch.sensor_text_K is not None
        if not self.describes:
            return self.table[batch.sensor_K]
        return self.describe(F.normalize(batch.vectors_NT[batch.sensor_text_K], dim=-1))
