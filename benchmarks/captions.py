"""Caption vectors: the way they are computed beside the plain one, in turn and in one process."""

import random
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from casas_ray.config import DataConfig, TextConfig
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.model.text import TextTower, fetched_tower

CAPTIONS, ROUNDS, _BATCH = 512, 5, 64

Way = Callable[[Sequence[str]], NDArray[np.float32]]


def rates(data: DataConfig, cores: int) -> list[tuple[str, str]]:
    """Captions a second with so many threads, by the clock and by the processor's time, the medians
    of rounds; the ratio is of each round's two, for the machine's own rate drifts."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        return _rates(_some_captions(data))
    finally:
        torch.set_num_threads(before)


def _some_captions(data: DataConfig) -> list[str]:
    # As a part of the real work: captions of any length, each once.
    distinct = sorted(set(prepare(data, logs_for(data)).captions()))
    return random.Random(0).sample(distinct, min(CAPTIONS, len(distinct)))


def _rates(captions: Sequence[str]) -> list[tuple[str, str]]:
    config = TextConfig()
    source, _ = fetched_tower(config.model)
    ways = {"plain": _plain(source, config), "now": TextTower(source, config.max_tokens).encode}
    apart = np.abs(ways["plain"](captions) - ways["now"](captions)).max()
    taken = {name: np.array([_seconds(way, captions)]) for name, way in ways.items()}
    for _ in range(ROUNDS - 1):
        for name, way in ways.items():
            taken[name] = np.vstack([taken[name], _seconds(way, captions)])
    rows = [
        (name, "{:.0f} a second, {:.0f} a processor's second".format(*len(captions) / median))
        for name, median in ((name, np.median(seconds, axis=0)) for name, seconds in taken.items())
    ]
    ratio = np.median(taken["plain"] / taken["now"], axis=0)
    return [
        *rows,
        ("now / plain", f"{ratio[0]:.2f} by the clock, {ratio[1]:.2f} by processor time"),
        ("largest difference of a number", f"{apart:.1e}"),
    ]


def _seconds(way: Way, captions: Sequence[str]) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    way(captions)
    return time.perf_counter() - clock, time.process_time() - processor


def _plain(source: str, config: TextConfig) -> Way:
    """transformers as it comes: 64 captions of like length at a time, all threads at each product;
    what this package did until 2026-11-26."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModel.from_pretrained(source).eval()

    @torch.inference_mode()
    def encode(captions: Sequence[str]) -> NDArray[np.float32]:
        order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
        vectors_NT = np.empty((len(captions), model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            tokens = tokenizer(
                [captions[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=config.max_tokens,
                return_tensors="pt",
            )
            hidden_BST = model(**tokens).last_hidden_state
            weight_BS1 = tokens["attention_mask"].unsqueeze(-1).float()
            vectors_NT[rows] = ((hidden_BST * weight_BS1).sum(1) / weight_BS1.sum(1)).numpy()
        return vectors_NT

    return encode
