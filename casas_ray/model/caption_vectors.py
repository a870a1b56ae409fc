"""Caption vectors: each distinct caption goes through the text tower once, whatever set asks.

They lie in `data/text/MODEL/`, a few thousand a file, each file written whole as soon as its
captions are done: a computation that was killed goes on where it was, and another set with the same
captions computes none of them again. Each file carries a hash of what it holds; one that does not
fit it, and one without, is passed over, and its captions are computed again.
"""

# N captions that are asked for, K captions of one part or file, B of a batch, T size of a text
# vector

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from casas_ray import paths
from casas_ray.config import TextConfig
from casas_ray.files import private_folder, shown, whole_file
from casas_ray.model.text import Batch, TextTower, fetched_tower, find_tower

CAPTIONS_A_PART = 2048
_PROGRESS_EVERY = 256
_HASH = "sha256"

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Part = list[str]
Encoded = Generator[tuple[Part, NDArray[np.float32]]]
Encode = Callable[[Iterable[Part]], Encoded]
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
    the missing captions are done, and of how many; first that none is.

    Raises:
        SetupError: the text model is not at hand and cannot be fetched.
    """
    source, revision = fetched_tower(config.model)
    store = VectorStore.of(revision, config.max_tokens)
    missing = store.missing(captions)
    if missing:
        progress(0, len(missing))
        parts = list(_parts(missing))
        done = 0
        # Closed at once when this is interrupted: threads go on with what waits for them else.
        with contextlib.closing((encode or _in_this_process(source, config))(parts)) as encoded:
            for part, vectors_KT in encoded:
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
    if not revision:
        return len(set(captions))
    return len(VectorStore.of(revision, config.max_tokens).missing(captions))


def _in_this_process(source: str, config: TextConfig) -> Encode:
    def encode(parts: Iterable[Part]) -> Encoded:
        tower = TextTower(source, config.max_tokens)
        for part in parts:
            done: list[Batch] = []
            for rows, vectors_BT in tower.batches(part):
                done.append((rows, vectors_BT))
                # In small pieces, so that progress is seen and little is lost.
                if sum(len(rows) for rows, _ in done) >= _PROGRESS_EVERY:
                    yield _joined(part, done)
                    done = []
            if done:
                yield _joined(part, done)

    return encode


def _joined(part: Part, batches: Sequence[Batch]) -> tuple[Part, NDArray[np.float32]]:
    captions = [part[row] for rows, _ in batches for row in rows]
    return captions, np.concatenate([vectors_BT for _, vectors_BT in batches])


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
        for keys_K, _ in self._parts():
            for key in keys_K.tolist():
                wanted.pop(key, None)
        return list(wanted.values())

    def write(self, captions: Sequence[str], vectors_KT: NDArray[np.float32]) -> None:
        """Keep some vectors, all of them or none."""
        private_folder(self._folder)
        keys = np.array([_key(caption) for caption in captions], dtype=np.uint64)
        # Under a name of its own: processes may write and read here at once, and a caption that two
        # of them computed lies here twice, which harms nobody.
        vectors_KT = np.ascontiguousarray(vectors_KT)
        about = {_HASH: _hash_of(self._folder, keys, vectors_KT)}
        with whole_file(self._folder / f"{uuid.uuid4().hex}.safetensors") as draft:
            save_file({"keys": keys, "vectors": vectors_KT}, draft, metadata=about)

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
        for keys_K, vectors_KT in self._parts():
            first_K = np.searchsorted(ordered_N, keys_K, side="left")
            after_K = np.searchsorted(ordered_N, keys_K, side="right")
            if not (after_K > first_K).any():
                continue
            if vectors_NT is None:
                vectors_NT = np.empty((len(keys_N), vectors_KT.shape[1]), dtype=np.float32)
            for index in np.flatnonzero(after_K > first_K).tolist():
                rows = order_N[first_K[index] : after_K[index]]
                vectors_NT[rows], filled_N[rows] = vectors_KT[index], True
        if vectors_NT is None or not filled_N.all():
            raise KeyError(captions[int(np.flatnonzero(~filled_N)[0])])
        return vectors_NT

    def _parts(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float32]]]:
        """Keys and vectors of each file that is as it was written."""
        for path in self._files():
            part = _part_of(path)
            if part is not None:
                yield part

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"))


def _part_of(path: Path) -> tuple[NDArray[np.uint64], NDArray[np.float32]] | None:
    """What a file holds, K keys and K x T vectors, or None where that is not what was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            wanted = (file.metadata() or {}).get(_HASH)
            if wanted is None:  # of an earlier version: nothing says that it is whole
                return None
            keys_K, vectors_KT = file.get_tensor("keys"), file.get_tensor("vectors")
            if _hash_of(path.parent, keys_K, vectors_KT) == wanted:
                return keys_K, vectors_KT
            why = "it is not as it was written"
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        why = str(error)
    log.warning("%s: %s; its captions are computed again", shown(path), why)
    with contextlib.suppress(OSError):  # another process may have been quicker
        path.replace(path.with_suffix(".damaged"))
    return None


def _hash_of(folder: Path, keys_K: NDArray[np.uint64], vectors_KT: NDArray[np.float32]) -> str:
    # With the folder, which names the model: a file of another's does not fit. With types and
    # shapes: the same bytes read as another type are other numbers.
    found = hashlib.sha256(folder.name.encode())
    for array in (keys_K, vectors_KT):
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _key(caption: str) -> int:
    # 64 bits: among a million captions, two share a key once in 37 million sets.
    return int.from_bytes(hashlib.blake2b(caption.encode(), digest_size=8).digest(), "little")
