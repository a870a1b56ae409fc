"""A bank of earlier pairs that serve as further negatives; it can never hold a row's own positive.

After MoCo's queue (He et al. 2020), with the hardest few a row instead of all.
"""

# G pairs of a batch over all workers, D embedding size, N pairs the bank can hold, K those it holds

from dataclasses import dataclass

import torch
from torch import Tensor

from casas_ray.model.losses import alike, scores

# Names in every checkpoint that has a bank.
NAMES = ("sensor_ND", "text_ND", "caption_N", "span_N2", "held")


@dataclass
class Bank:
    """The newest N pairs, the same on every worker."""

    sensor_ND: Tensor
    text_ND: Tensor
    caption_N: Tensor
    span_N2: Tensor
    held: Tensor
    """How many pairs were ever put in, a scalar: also those that newer ones have replaced. On the
    host, for a step must not wait for its device."""

    @classmethod
    def empty(cls, size: int, embedding: int, device: torch.device) -> "Bank":
        """A bank without pairs, with room for `size` of them."""
        return cls(
            torch.zeros(size, embedding, device=device),
            torch.zeros(size, embedding, device=device),
            torch.full((size,), -1, dtype=torch.int32, device=device),
            torch.full((size, 2), -1, dtype=torch.int64, device=device),
            torch.zeros((), dtype=torch.int64),
        )

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint keeps of the bank, by name."""
        return {name: getattr(self, name) for name in NAMES}

    def wrong_scores(
        self,
        sensor_GD: Tensor,
        text_GD: Tensor,
        caption_G: Tensor,
        span_G2: Tensor,
        temperature: Tensor,
        hardest: int,
    ) -> tuple[Tensor, Tensor] | None:
        """For each window and for each caption the scores of the `hardest` pairs of the bank that
        are most like it and are not its own, both G x `hardest`; -inf where those are too few, and
        None while the bank is empty. `temperature` is a scalar."""
        count = min(int(self.held), len(self.caption_N))
        if count == 0:
            return None
        own_GK = alike(caption_G, span_G2, self.caption_N[:count], self.span_N2[:count])
        # Copies: the bank is written to before the gradients are computed.
        to_text_GK = scores(sensor_GD, self.text_ND[:count].clone(), temperature)
        to_sensor_GK = scores(text_GD, self.sensor_ND[:count].clone(), temperature)
        most = min(hardest, count)
        wrong = (side.masked_fill(own_GK, float("-inf")) for side in (to_text_GK, to_sensor_GK))
        text_GK, sensor_GK = (side.topk(most, dim=1).values for side in wrong)
        return text_GK, sensor_GK

    @torch.no_grad()
    def put(self, sensor_GD: Tensor, text_GD: Tensor, caption_G: Tensor, span_G2: Tensor) -> None:
        """Put the pairs of a batch in place of the oldest.

        They are those of all workers, in rank order: so every worker has the same bank.
        """
        size = len(self.caption_N)
        kept = min(size, len(caption_G))
        rows = (int(self.held) + torch.arange(kept, device=self.caption_N.device)) % size
        self.sensor_ND[rows] = sensor_GD[:kept].float()
        self.text_ND[rows] = text_GD[:kept].float()
        self.caption_N[rows] = caption_G[:kept].to(self.caption_N.dtype)
        self.span_N2[rows] = span_G2[:kept]
        self.held += kept
