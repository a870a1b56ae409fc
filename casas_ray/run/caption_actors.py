"""Caption vectors by Ray Data actors, one a GPU, for sets whose captions would take long here."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import ray.data

from casas_ray.config import Machine, TextConfig
from casas_ray.model.caption_vectors import Encode, Encoded, Part
from casas_ray.model.text import TextTower, fetched_tower

# C captions of a part, T width of the text model


class _Actor:
    """One text tower on one GPU, or on CPUs."""

    def __init__(self, source: str, max_tokens: int, device: str) -> None:
        self._tower = TextTower(source, max_tokens, device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:  # Any: Ray Data's row
        part = list(row["part"])
        vectors_CT = self._tower.encode(part)
        return {"part": part, "vectors": vectors_CT.tobytes(), "size": vectors_CT.shape[1]}


def with_actors(config: TextConfig, machine: Machine) -> Encode:
    """Encoding by as many actors as the machine has workers; Ray must be running.

    The vectors come back to the driver, which writes them: no file system has to be shared.
    """

    def encode(parts: Iterable[Part]) -> Encoded:
        source, _ = fetched_tower(config.model)
        gpus = machine.gpus_per_worker
        device = "cuda" if gpus else "cpu"
        rows = ray.data.from_items([{"part": part} for part in parts])
        encoded = rows.map(
            _Actor,  # pyright: ignore[reportArgumentType]  # Ray Data takes a class too
            fn_constructor_args=(source, config.max_tokens, device),
            compute=ray.data.ActorPoolStrategy(size=machine.fewest_workers),
            num_gpus=gpus or None,
            num_cpus=machine.cpus_per_worker if not gpus else None,
        )
        # Parts come back in any order, so each carries its captions with it.
        for row in encoded.iter_rows():
            vectors_CT = np.frombuffer(row["vectors"], dtype=np.float32).reshape(-1, row["size"])
            yield list(row["part"]), vectors_CT

    return encode
