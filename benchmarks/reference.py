"""A conventional training step, to be measured beside ours.

A Python dictionary a sample, collated one by one; masks drawn in a Python loop; torch's own
encoder layers; one pass for the alignment and a second, masked one for the heads, which run on all
positions.
"""

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import Recipe
from casas_ray.corpus.vocab import MASK
from casas_ray.loader.loader import Loader

Sample = dict[str, Any]


class ReferenceModel(nn.Module):
    """The same sizes as ours, in the usual way."""

    def __init__(self, recipe: Recipe, sizes: dict[str, int], text_size: int) -> None:
        super().__init__()
        config = recipe.model
        self.tables = nn.ModuleDict(
            {name: nn.Embedding(size, config.width) for name, size in sizes.items()}
        )
        self.position = nn.Linear(4 * config.fourier_bands, config.width)
        self.bands = 2.0 ** torch.arange(config.fourier_bands) * torch.pi
        self.cls = nn.Parameter(torch.zeros(1, 1, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.feed_forward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.project_sensor = nn.Linear(config.width, config.embedding)
        self.project_text = nn.Linear(text_size, config.embedding)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(config.width, size) for name, size in sizes.items()}
        )
        self.temperature = nn.Parameter(torch.tensor(recipe.loss.temperature_init).log())

    def encode(self, ids: dict[str, Tensor], xy: Tensor, padding: Tensor) -> Tensor:
        x = sum(table(ids[name]) for name, table in self.tables.items())
        angle = (xy.unsqueeze(-1) * self.bands).flatten(-2)
        x = x + self.position(torch.cat([angle.sin(), angle.cos()], dim=-1))
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1)
        return self.layers(x, src_key_padding_mask=F.pad(padding, (1, 0), value=False))


def samples_of(loader: Loader) -> list[Sample]:
    """The training windows as one dictionary each, with a list of dictionaries for their events."""
    shard = loader.train
    return [
        {
            "events": [
                dict(zip(shard.fields, event["ids"].tolist(), strict=True))
                | {"xy": event["xy"].tolist()}
                for event in shard.events[shard.first[row] :][: shard.length[row]]
            ],
            "captions": shard.captions[shard.first_caption[row] :][
                : shard.caption_count[row]
            ].tolist(),
        }
        for row in range(len(shard))
    ]


def collate(samples: list[Sample], names: list[str], length: int) -> tuple[Any, ...]:
    """Tensors of a batch, filled sample by sample."""
    ids = {name: torch.zeros(len(samples), length, dtype=torch.long) for name in names}
    xy = torch.zeros(len(samples), length, 2)
    padding = torch.ones(len(samples), length, dtype=torch.bool)
    captions = torch.zeros(len(samples), dtype=torch.long)
    for row, sample in enumerate(samples):
        for place, event in enumerate(sample["events"]):
            for name in names:
                ids[name][row, place] = event[name]
            xy[row, place] = torch.tensor(event["xy"]).nan_to_num(0.0)
            padding[row, place] = False
        captions[row] = random.choice(sample["captions"])
    return ids, xy, padding, captions


def masks(padding: Tensor, share: float, mean_span: float) -> Tensor:
    """Spans, event by event in Python."""
    found = torch.zeros_like(padding)
    for row in range(len(padding)):
        length = int((~padding[row]).sum())
        while found[row].sum() < share * length:
            start = random.randrange(length)
            found[
                row, start : min(length, start + max(1, round(random.expovariate(1 / mean_span))))
            ] = True
    return found


class ReferenceStep:
    """One step: collate, two passes, AdamW."""

    def __init__(self, recipe: Recipe, loader: Loader) -> None:
        self.recipe = recipe
        self.names = list(loader.facts.sizes())
        self.vectors = loader.vectors
        self.samples = samples_of(loader)
        self.length = int(loader.train.length.max())
        self.model = ReferenceModel(recipe, loader.facts.sizes(), self.vectors.shape[1])
        self.optimizer = torch.optim.AdamW(self.model.parameters(), recipe.optim.learning_rate)

    def __call__(self) -> None:
        """Train on one random batch."""
        model, config = self.model, self.recipe
        chosen = random.sample(self.samples, config.optim.batch_size)
        ids, xy, padding, captions = collate(chosen, self.names, self.length)
        x = model.encode(ids, xy, padding)
        real = (~padding).unsqueeze(-1).float()
        pooled = 0.5 * (x[:, 0] + (x[:, 1:] * real).sum(1) / real.sum(1))
        sensor = F.normalize(model.project_sensor(pooled), dim=-1)
        text = F.normalize(model.project_text(self.vectors[captions]), dim=-1)
        scores = sensor @ text.T / model.temperature.exp()
        target = torch.arange(len(scores))
        clip = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
        masked = masks(padding, config.masking.share, config.masking.mean_span)
        hidden = {name: column.masked_fill(masked, MASK) for name, column in ids.items()}
        y = model.encode(hidden, xy.masked_fill(masked.unsqueeze(-1), 0.0), padding)[:, 1:]
        mlm = sum(
            F.cross_entropy(head(y)[masked], ids[name][masked])
            for name, head in model.heads.items()
        ) / len(self.names)
        loss = config.loss.clip_weight * clip + config.loss.mlm_weight * mlm
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.optim.gradient_clip)
        self.optimizer.step()
