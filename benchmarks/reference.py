"""A conventional training step, to be measured beside ours.

A Python dictionary a sample, collated one by one; masks drawn in a Python loop; torch's own
encoder layers; one pass for the alignment and a second, masked one for the heads, which run on all
positions.
"""

# B windows, L events, S = L + 1 tokens (the class token first), W width, E embedding, N captions of
# the set, T width of a text vector, P twice the Fourier bands

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from casas_ray.config import Recipe
from casas_ray.corpus.vocab import MASK
from casas_ray.loader.loader import Loader

Sample = dict[str, Any]  # Any: events as dictionaries, captions as ids


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

    def encode(self, ids_BL: dict[str, Tensor], xy_BL2: Tensor, padding_BL: Tensor) -> Tensor:
        """B x S x W: a vector of each token; `ids_BL` by field."""
        x_BLW = sum(table(ids_BL[name]) for name, table in self.tables.items())
        angle_BLP = (xy_BL2.unsqueeze(-1) * self.bands).flatten(-2)
        x_BLW = x_BLW + self.position(torch.cat([angle_BLP.sin(), angle_BLP.cos()], dim=-1))
        x_BSW = torch.cat([self.cls.expand(len(x_BLW), 1, -1), x_BLW], dim=1)
        return self.layers(x_BSW, src_key_padding_mask=F.pad(padding_BL, (1, 0), value=False))


def samples_of(loader: Loader) -> list[Sample]:
    """The training windows as one dictionary each, with a list of dictionaries for their events."""
    store = loader.train
    return [
        {
            "events": [
                dict(zip(store.fields, event["ids"].tolist(), strict=True))
                | {"xy": event["xy"].tolist()}
                for event in store.events[store.first_record_N[row] :][: store.length_N[row]]
            ],
            "captions": store.captions_K[store.first_caption_N[row] :][
                : store.caption_count_N[row]
            ].tolist(),
        }
        for row in range(len(store))
    ]


def collate(
    samples: list[Sample], names: list[str], length: int
) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
    """Ids by field (B x L), positions (B x L x 2), padding (B x L) and captions (B) of a batch,
    filled sample by sample."""
    ids_BL = {name: torch.zeros(len(samples), length, dtype=torch.long) for name in names}
    xy_BL2 = torch.zeros(len(samples), length, 2)
    padding_BL = torch.ones(len(samples), length, dtype=torch.bool)
    captions_B = torch.zeros(len(samples), dtype=torch.long)
    for row, sample in enumerate(samples):
        for index, event in enumerate(sample["events"]):
            for name in names:
                ids_BL[name][row, index] = event[name]
            xy_BL2[row, index] = torch.tensor(event["xy"]).nan_to_num(0.0)
            padding_BL[row, index] = False
        captions_B[row] = random.choice(sample["captions"])
    return ids_BL, xy_BL2, padding_BL, captions_B


def masks(padding_BL: Tensor, share: float, mean_span: float) -> Tensor:
    """B x L: the events of spans that are drawn until a share of each window is masked."""
    masked_BL = torch.zeros_like(padding_BL)
    for row in range(len(padding_BL)):
        length = int((~padding_BL[row]).sum())
        while masked_BL[row].sum() < share * length:
            start = random.randrange(length)
            span = max(1, round(random.expovariate(1 / mean_span)))
            masked_BL[row, start : min(length, start + span)] = True
    return masked_BL


class ReferenceStep:
    """One step: collate, two passes, AdamW."""

    def __init__(self, recipe: Recipe, loader: Loader) -> None:
        self.recipe = recipe
        self.names = list(loader.facts.sizes())
        self.vectors_NT = loader.vectors_NT
        self.samples = samples_of(loader)
        self.length = int(loader.train.length_N.max())
        self.model = ReferenceModel(recipe, loader.facts.sizes(), self.vectors_NT.shape[1])
        self.optimizer = torch.optim.AdamW(self.model.parameters(), recipe.optim.learning_rate)

    def __call__(self) -> None:
        """Train on one random batch."""
        model, config = self.model, self.recipe
        chosen = random.sample(self.samples, config.optim.batch_size)
        ids_BL, xy_BL2, padding_BL, captions_B = collate(chosen, self.names, self.length)
        x_BSW = model.encode(ids_BL, xy_BL2, padding_BL)
        real_BL1 = (~padding_BL).unsqueeze(-1).float()
        pooled_BW = 0.5 * (x_BSW[:, 0] + (x_BSW[:, 1:] * real_BL1).sum(1) / real_BL1.sum(1))
        sensor_BE = F.normalize(model.project_sensor(pooled_BW), dim=-1)
        text_BE = F.normalize(model.project_text(self.vectors_NT[captions_B]), dim=-1)
        scores_BB = sensor_BE @ text_BE.T / model.temperature.exp()
        target_B = torch.arange(len(scores_BB))
        clip = (F.cross_entropy(scores_BB, target_B) + F.cross_entropy(scores_BB.T, target_B)) / 2
        masked_BL = masks(padding_BL, config.masking.share, config.masking.mean_span)
        hidden_BL = {name: ids.masked_fill(masked_BL, MASK) for name, ids in ids_BL.items()}
        shown_BL2 = xy_BL2.masked_fill(masked_BL.unsqueeze(-1), 0.0)
        y_BLW = model.encode(hidden_BL, shown_BL2, padding_BL)[:, 1:]
        mlm = sum(
            F.cross_entropy(head(y_BLW)[masked_BL], ids_BL[name][masked_BL])
            for name, head in model.heads.items()
        ) / len(self.names)
        loss = config.loss.clip_weight * clip + config.loss.mlm_weight * mlm
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.optim.gradient_clip)
        self.optimizer.step()
