"""Caption vectors: each distinct caption goes through the text tower once, whatever set asks.

They lie in `data/text/MODEL/`, a few thousand a file, each file written whole as soon as its
captions are done: a computation that was killed goes on where it was, and another set with the same
captions computes none of them again.
"""

# N captions that are asked for, K captions of one part or file, T size of a text vector

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
from casas_ray.files import own_folder
from casas_ray.model.text import TextTower, find_tower

CAPTIONS_A_PART = 2048
_PROGRESS_EVERY = 256

Progress = Callable[[int, int], None]
Part = list[str]
Encode = Callable[[Iterable[Part]], Iterator[tuple[Part, NDArray[np.float32]]]]
"""Parts of captions to parts with their vectors, K x T, in any order."""


def caption_vectors(
    captions: Sequence[str],
    config: TextConfig,
    *,
    progress: Progress = lambda done, total: None,
    encode: Encode | None = None,
) -> NDArray[np.float32]:
    """The mean-pooled token vectors of the frozen model, N x T, from disk where they are there.

    `encode` computes those that are not; left out, this process does. `progress` hears how many of
    the missing captions are done, and of how many.

    Raises:
        SetupError: the text model is not at hand and cannot be fetched.
    """
    source, revision = find_tower(config.model)
    store = VectorStore.of(revision, config.max_tokens)
    missing = store.missing(captions)
    if missing:
        parts = list(_parts(missing))
        done = 0
        for part, vectors_KT in (encode or _in_this_process(source, config))(parts):
            store.write(part, vectors_KT)
            done += len(part)
            progress(done, len(missing))
    return store.read(captions)


def missing_captions(captions: Sequence[str], config: TextConfig) -> int:
    """The number of distinct captions that have no vector yet.

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
            for start in range(0, len(part), _PROGRESS_EVERY):
                piece = part[start : start + _PROGRESS_EVERY]
                yield piece, tower.encode(piece)

    return encode


def _parts(captions: Sequence[str]) -> Iterator[Part]:
    # Captions of like length go together, so that little is spent on padding.
    ordered = sorted(captions, key=len)
    for start in range(0, len(ordered), CAPTIONS_A_PART):
        yield ordered[start : start + CAPTIONS_A_PART]


class VectorStore:
    """The vectors of one text model on disk, by caption."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, revision: str, max_tokens: int) -> "VectorStore":
        """The store of a model's weights, for captions cut after `max_tokens`."""
        # The key stands on users' disks: another recipe for it computes every vector again.
        key = hashlib.sha256(f"{revision}:{max_tokens}".encode()).hexdigest()[:16]
        return cls(paths.text_cache() / key)

    def missing(self, captions: Sequence[str]) -> list[str]:
        """The distinct captions that have no vector yet."""
        wanted = {_key(caption): caption for caption in captions}
        for path in self._files():
            for key in _keys_of(path).tolist():
                wanted.pop(key, None)
        return list(wanted.values())

    def write(self, captions: Sequence[str], vectors_KT: NDArray[np.float32]) -> None:
        """Keep some vectors, all of them or none."""
        own_folder(self._folder)
        keys = np.array([_key(caption) for caption in captions], dtype=np.uint64)
        # Renamed when whole, under a name of its own: processes may write and read here at once,
        # and a caption that two of them computed lies here twice, which harms nobody.
        draft = self._folder / f".{uuid.uuid4().hex}.{os.getpid()}"
        save_file({"keys": keys, "vectors": vectors_KT}, draft)
        draft.replace(self._folder / f"{uuid.uuid4().hex}.safetensors")

    def read(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the captions, in their order, N x T.

        Raises:
            KeyError: a caption has none.
        """
        keys_N = np.array([_key(caption) for caption in captions], dtype=np.uint64)
        # A caption may be asked for more than once: equal keys are a run, filled at one go.
        order_N = np.argsort(keys_N, kind="stable")
        ordered_N = keys_N[order_N]
        vectors_NT: NDArray[np.float32] | None = None
        filled_N = np.zeros(len(keys_N), dtype=bool)
        for path in self._files():
            keys_K = _keys_of(path)
            first_K = np.searchsorted(ordered_N, keys_K, side="left")
            after_K = np.searchsorted(ordered_N, keys_K, side="right")
            if not (after_K > first_K).any():
                continue
            with safe_open(path, framework="numpy") as file:
                vectors_KT = file.get_tensor("vectors")
            if vectors_NT is None:
                vectors_NT = np.empty((len(keys_N), vectors_KT.shape[1]), dtype=np.float32)
            for index in np.flatnonzero(after_K > first_K).tolist():
                rows = order_N[first_K[index] : after_K[index]]
                vectors_NT[rows], filled_N[rows] = vectors_KT[index], True
        if vectors_NT is None or not filled_N.all():
            raise KeyError(captions[int(np.flatnonzero(~filled_N)[0])])
        return vectors_NT

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"))


def _keys_of(path: Path) -> NDArray[np.uint64]:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor("keys")
    except SafetensorError:  # torn by a full disk: its captions are computed again
        return np.empty(0, dtype=np.uint64)


def _key(caption: str) -> int:
    # 64 bits: among a million captions, two share a key once in 37 million sets.
    return int.from_bytes(hashlib.blake2b(caption.encode(), digest_size=8).digest(), "little")
