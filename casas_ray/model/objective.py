"""What a batch costs and what its gradients are: whole, or in pieces that all negatives meet."""

# B pairs on this worker, G pairs over all workers, D embedding size, T text size, F fields; `clip`
# and `mlm` are scalars: the alignment loss and the masked-event loss

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from casas_ray.config import LossConfig
from casas_ray.loader.batch import Batch
from casas_ray.model.counted_losses import counted_losses, numbers_asked, weights_of
from casas_ray.model.dual import DualEncoder, Encoded, targets
from casas_ray.model.losses import (
    alike,
    contrastive,
    gather,
    goal_of,
    in_batch_accuracy,
    masked_counts,
    masked_event_loss,
    scores,
    summed,
    workers,
)
from casas_ray.model.negatives import Bank

LossTerms = dict[str, Tensor]
"""Scalars by name: the losses and what goes with them, without gradients."""


@dataclass(frozen=True)
class Objective:
    """The weighted sum of the alignment loss, the masked-event loss and, where asked, those on what
    is counted, over all workers."""

    model: DualEncoder
    config: LossConfig
    bank: Bank | None = None
    bf16: bool = False
    """Compute products in bfloat16."""

    in_detail: bool = False
    """Add the accuracy of each field."""

    def backward(self, batch: Batch, *, pieces: int = 1) -> LossTerms:
        """The loss terms of a batch, whose gradients now lie on the weights: this worker's share,
        exact once it is averaged over workers."""
        return self._whole(batch) if pieces == 1 else self._in_pieces(batch, pieces)

    def _whole(self, batch: Batch) -> LossTerms:
        encoded = self._encode(batch)
        wanted = targets(batch, self.model.fields)
        clip, extras = self._align(encoded.sensor_BD, encoded.text_BD, batch)
        mlm = masked_event_loss(encoded.logits, wanted)
        counted = counted_losses(self.model, encoded.pooled_BW, batch) if self._weights else {}
        total = self.config.clip_weight * clip + self.config.mlm_weight * mlm
        self._added(total, counted).backward()
        if self.in_detail:
            extras |= self._accuracy_by_field(_right_and_asked(encoded, wanted))
        return self._terms(clip, mlm, counted) | extras

    def _in_pieces(self, batch: Batch, pieces: int) -> LossTerms:
        """The same terms and gradients with one piece in memory at a time.

        Each piece is encoded twice: first for its vectors, on which the alignment loss of the whole
        batch has its gradient; then again, to carry that gradient on to the weights. Masks and
        dropout are drawn by address, so both times they are the same. After gradient caching (Gao
        et al. 2021).
        """
        parts = list(_parts(batch, pieces))
        with torch.no_grad():
            passes = [self._sides(part) for part in parts]
        sensor_BD, text_BD = (
            torch.cat(side).requires_grad_() for side in zip(*passes, strict=True)
        )
        clip, extras = self._align(sensor_BD, text_BD, batch)
        (self.config.clip_weight * clip).backward()
        assert sensor_BD.grad is not None and text_BD.grad is not None
        # Of the whole batch, before any piece: a piece alone does not know what its mean is over.
        counts_F = masked_counts(targets(batch, self.model.fields))
        asked = numbers_asked(batch) if self._weights else {}
        mlm, start = clip.new_zeros(()), 0
        counted = dict.fromkeys(self._weights, clip.new_zeros(()))
        counts_F2 = clip.new_zeros(len(self.model.fields), 2)
        for part in parts:
            encoded, rows = self._encode(part), slice(start, start + len(part))
            wanted = targets(part, self.model.fields)
            own = masked_event_loss(encoded.logits, wanted, counts_F=counts_F)
            mlm += own.detach() / workers()  # this worker's own part: the other is that times them
            # Its gradient is the alignment loss's, carried on from the vectors to the weights.
            carried = (encoded.sensor_BD * sensor_BD.grad[rows]).sum()
            carried = carried + (encoded.text_BD * text_BD.grad[rows]).sum()
            told = {}
            if self._weights:
                told = counted_losses(self.model, encoded.pooled_BW, part, asked)
            self._added(carried + self.config.mlm_weight * own, told).backward()
            counted |= {
                name: counted[name] + each.detach() / workers() for name, each in told.items()
            }
            counts_F2 += _right_and_asked(encoded, wanted)
            start += len(part)
        if self.in_detail:
            extras |= self._accuracy_by_field(counts_F2)
        counted = {name: summed(value) for name, value in counted.items()}
        return self._terms(clip, summed(mlm), counted) | extras

    @property
    def _weights(self) -> dict[str, float]:
        return weights_of(self.config)

    def _added(self, total: Tensor, counted: Mapping[str, Tensor]) -> Tensor:
        for name, loss in counted.items():
            total = total + self._weights[name] * loss
        return total

    def _encode(self, batch: Batch) -> Encoded:
        device = batch.real_BL.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16):
            return self.model(batch)

    def _sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        # Copies: what a CUDA graph puts out is overwritten when it runs again.
        encoded = self._encode(batch)
        return encoded.sensor_BD.clone(), encoded.text_BD.clone()

    def _align(self, sensor_BD: Tensor, text_BD: Tensor, batch: Batch) -> tuple[Tensor, LossTerms]:
        # All workers gather in this one order; another on one of them mixes rows up, or hangs all.
        sensor_GD, text_GD = gather(sensor_BD), gather(text_BD)
        caption_G, span_G2 = gather(batch.caption_B), gather(batch.span_B2)
        temperature, config = self.model.temperature, self.config
        similarity_GG = scores(sensor_GD, text_GD, temperature)
        goal = None
        if config.duplicates != "negatives" or config.soft_targets:
            same_GG = alike(caption_G, span_G2, caption_G, span_G2)
            # Without soft targets the goal asks this for its type only, and a message is spared.
            text_GT = gather(batch.text_BT) if config.soft_targets else sensor_GD.detach()
            goal = goal_of(same_GG, text_GT, config)
        further = None
        if self.bank is not None:
            further = self.bank.wrong_scores(
                sensor_GD, text_GD, caption_G, span_G2, temperature, config.bank_hardest
            )
            # Read first: put in before, the pairs of this batch would count twice as wrong.
            self.bank.put(sensor_GD, text_GD, caption_G, span_G2)
        bias = self.model.bias if config.kind == "sigmoid" else None
        clip = contrastive(similarity_GG, goal, config, bias=bias, further=further)
        to_text, to_sensor = in_batch_accuracy(similarity_GG.detach(), caption_G)
        return clip, {"sensor_to_text_acc": to_text, "text_to_sensor_acc": to_sensor}

    def _accuracy_by_field(self, counts_F2: Tensor) -> LossTerms:
        """By field, the share of what was asked back that was guessed right, over all workers."""
        right_F, asked_F = summed(counts_F2).unbind(1)  # one message for all fields
        shares_F = right_F / asked_F.clamp(min=1.0)
        fields = self.model.fields
        return {f"mlm_acc/{field}": share for field, share in zip(fields, shares_F, strict=True)}

    def _terms(self, clip: Tensor, mlm: Tensor, counted: Mapping[str, Tensor]) -> LossTerms:
        clip, mlm = clip.detach(), mlm.detach()
        parts = {
            "clip_contribution": self.config.clip_weight * clip,
            "mlm_contribution": self.config.mlm_weight * mlm,
        }
        total = parts["clip_contribution"] + parts["mlm_contribution"]
        more = {f"{name}_loss": loss.detach() for name, loss in counted.items()}
        return {
            "total_loss": self._added(total, counted).detach(),
            "clip_loss": clip,
            "mlm_loss": mlm,
            **more,
            **parts,
            "temperature": self.model.temperature.detach(),
        }


def _parts(batch: Batch, pieces: int) -> Iterator[Batch]:
    size = -(-batch.chunks // pieces) * batch.together
    for start in range(0, len(batch), size):
        yield batch.piece(start, min(start + size, len(batch)))


@torch.no_grad()
def _right_and_asked(encoded: Encoded, wanted: dict[str, Tensor]) -> Tensor:
    """F x 2: of each field how often it was guessed right, and how often it was asked back."""
    counts = []
    for field, logits_MV in encoded.logits.items():
        asked_M = wanted[field] >= 0
        right_M = (logits_MV.argmax(-1) == wanted[field]) & asked_M
        counts.append(torch.stack([right_M.sum(), asked_M.sum()]))
    return torch.stack(counts).float()
