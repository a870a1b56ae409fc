"""Caption vectors: each distinct caption goes through the text tower once, whatever set asks.

They lie in `data/text/MODEL/`, a few thousand a file, each file written whole as soon as its
captions are done: a computation that was killed goes on where it was, and another set with the same
captions computes none of them again.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from casas_ray import paths
from casas_ray.config import TextConfig
from casas_ray.model.text import TextTower, find_tower

CAPTIONS_A_PART = 2048
_TOLD_EVERY = 256

Progress = Callable[[int, int], None]
Part = list[str]
Encode = Callable[[Iterable[Part]], Iterator[tuple[Part, NDArray[np.float32]]]]
"""Parts of captions to parts with their vectors, in any order."""


def caption_vectors(
    captions: Sequence[str],
    config: TextConfig,
    *,
    progress: Progress = lambda done, total: None,
    encode: Encode | None = None,
) -> NDArray[np.float32]:
    """N x T: mean-pooled token vectors of the frozen model, from disk where they are there.

    `encode` computes those that are not; left out, this process does.

    Raises:
        SetupError: the text model is not at hand and cannot be fetched.
    """
    source, revision = find_tower(config.model)
    store = VectorStore.of(revision, config.max_tokens)
    missing = store.missing(captions)
    if missing:
        parts = list(_parts(missing))
        done = 0
        for part, vectors in (encode or _in_this_process(source, config))(parts):
            store.write(part, vectors)
            done += len(part)
            progress(done, len(missing))
    return store.read(captions)


def missing_captions(captions: Sequence[str], config: TextConfig) -> int:
    """How many captions have no vector yet.

    Raises:
        SetupError: the packaged text model is not the one we know.
    """
    _, revision = find_tower(config.model)
    return len(VectorStore.of(revision, config.max_tokens).missing(captions))


def _in_this_process(source: str, config: TextConfig) -> Encode:
    def encode(parts: Iterable[Part]) -> Iterator[tuple[Part, NDArray[np.float32]]]:
        tower = TextTower(source, config.max_tokens)
        for part in parts:
            # In small pieces, so that progress is seen and little is lost.
            for start in range(0, len(part), _TOLD_EVERY):
                piece = part[start : start + _TOLD_EVERY]
                yield piece, tower.encode(piece)

    return encode


def _parts(captions: Sequence[str]) -> Iterator[Part]:
    ordered = sorted(captions, key=len)
    for start in range(0, len(ordered), CAPTIONS_A_PART):
        yield ordered[start : start + CAPTIONS_A_PART]


class VectorStore:
    """The vectors of one text model on disk, by caption."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, revision: str, max_tokens: int) -> "VectorStore":
        """The store of a model's weights and cut."""
        key = hashlib.sha256(f"{revision}:{max_tokens}".encode()).hexdigest()[:16]
        return cls(paths.text_cache() / key)

    def missing(self, captions: Sequence[str]) -> list[str]:
        """The distinct captions that have no vector yet."""
        wanted = {_key(caption): caption for caption in captions}
        for path in self._files():
            for key in _keys_of(path).tolist():
                wanted.pop(key, None)
        return list(wanted.values())

    def write(self, captions: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep some vectors, all of them or none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = np.array([_key(caption) for caption in captions], dtype=np.uint64)
        draft = self._folder / f".{uuid.uuid4().hex}.{os.getpid()}"
        save_file({"keys": keys, "vectors": vectors}, draft)
        draft.replace(self._folder / f"{uuid.uuid4().hex}.safetensors")

    def read(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """N x T.

        Raises:
            KeyError: a caption has none.
        """
        keys = np.array([_key(caption) for caption in captions], dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        found: NDArray[np.float32] | None = None
        filled = np.zeros(len(keys), dtype=bool)
        for path in self._files():
            here = _keys_of(path)
            first = np.searchsorted(ordered, here, side="left")
            after = np.searchsorted(ordered, here, side="right")
            if not (after > first).any():
                continue
            with safe_open(path, framework="numpy") as file:
                vectors = file.get_tensor("vectors")
            if found is None:
                found = np.empty((len(keys), vectors.shape[1]), dtype=np.float32)
            for place in np.flatnonzero(after > first).tolist():
                rows = order[first[place] : after[place]]
                found[rows], filled[rows] = vectors[place], True
        if found is None or not filled.all():
            raise KeyError(captions[int(np.flatnonzero(~filled)[0])])
        return found

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"))


def _keys_of(path: Path) -> NDArray[np.uint64]:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor("keys")
    except SafetensorError:  # torn by a full disk: its captions are computed again
        return np.empty(0, dtype=np.uint64)


def _key(caption: str) -> int:
    return int.from_bytes(hashlib.blake2b(caption.encode(), digest_size=8).digest(), "little")
