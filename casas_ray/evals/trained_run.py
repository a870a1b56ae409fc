"""A trained run, opened once: its best checkpoint, its model and the data it was trained on."""

# N windows or texts, B windows of a chunk, D embedding size, T text size

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from casas_ray import paths
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.events import Events
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.inventory import set_folder
from casas_ray.corpus.new_events import EventColumns, KnownHomes, events_of, windows_like
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import CasasError, DataError, did_you_mean
from casas_ray.files import shown
from casas_ray.loader.training_data import TrainingData
from casas_ray.loader.window_store import WindowStore
from casas_ray.model.caption_vectors import caption_vectors
from casas_ray.model.dual import DualEncoder
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import WEIGHTS, read_meta
from casas_ray.records.run_record import RUN_FILE, RunRecord, with_quick
from casas_ray.training import checkpoint

_CHUNK = 256


@dataclass(frozen=True)
class TrainedRun:
    """The checkpoint of a run that validation chose; its files' hashes were checked when it was
    opened."""

    folder: Path
    checkpoint: Path
    meta: Mapping[str, Any]  # Any: what JSON holds
    recipe: Recipe

    @classmethod
    def open(cls, folder: Path) -> "TrainedRun":
        """The trained run in a folder.

        Raises:
            DataError: it has no best checkpoint, or that is torn or altered.
            RefusedError: another version of this package wrote it.
        """
        best = checkpoints.best(folder)
        meta = read_meta(best)
        return cls(folder, best, meta, Recipe.build(meta["recipe"]))

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return int(self.meta["step"])

    @property
    def weights(self) -> str:
        """The hash of its weights' file."""
        return str(self.meta["sha256"][WEIGHTS])

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every number of it must be seen with: of its data, and quick."""
        path = self.folder / RUN_FILE
        quick = path.is_file() and RunRecord.read(self.folder).quick
        # Of the checkpoint, which keeps them by itself: the set may be gone, or altered.
        return with_quick(tuple(self.meta["about"]["caveats"]), quick=quick)

    @property
    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """The values of each field, where a value's index is its id."""
        return {field: tuple(names) for field, names in self.meta["about"]["vocabulary"].items()}

    @cached_property
    def model(self) -> DualEncoder:
        """The trained model, for evaluation."""
        model = self.untrained()
        checkpoint.load_weights(model, self.checkpoint)
        return model

    def untrained(self) -> DualEncoder:
        """The model before its first step, for evaluation."""
        # As TrainState.fresh makes it: on the CPU and by the seed alone.
        sizes = {field: len(names) for field, names in self.vocabulary.items()}
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            return DualEncoder(
                self.recipe,
                sizes,
                self.meta["text_size"],
                aggregates=self.meta["about"].get("aggregates", 0),
            ).eval()

    @cached_property
    def data(self) -> TrainingData:
        """The alignment set it was trained on, with the vectors of its captions.

        Raises:
            DataError: the set is not at hand any more.
            SetupError: the text model is not at hand.
        """
        fingerprint = self.meta["about"]["fingerprint"]
        folder = set_folder(fingerprint)
        if folder is None:
            raise DataError(
                f"the alignment set {fingerprint[:12]} is not in {shown(paths.aligned())}.",
                hint="prepare it again with the settings and the log of the run.",
            )
        prepared = self._as_written(PreparedSet(folder), fingerprint)
        return TrainingData(prepared, caption_vectors(prepared.captions(), self.recipe.text))

    def _as_written(self, prepared: PreparedSet, fingerprint: str) -> PreparedSet:
        """The set itself, or where it is damaged and its logs are at hand, made anew."""
        try:
            prepared.check(fingerprint)
        except DataError as damage:
            try:
                again = prepare(self.recipe.data, logs_for(self.recipe.data))
            except CasasError:
                raise damage from None
            if again.fingerprint != fingerprint:  # the log is another one by now
                raise
            return again
        return prepared

    def encode_windows(self, windows: str | EventColumns, *, home: str = "") -> NDArray[np.float32]:
        """Windows as unit vectors, N x D, in time order: those of a split (`train`, `val`, `test`),
        or new events in columns `time`, `sensor` and `state`, cut into windows as the run's were.

        `home` names the home of new events; left out, it is the run's only one.

        Raises:
            DataError: the set is gone, there is no such split, or the events do not fit the home.
            SetupError: the text model is not at hand.
        """
        if isinstance(windows, str):
            return self._encoded(self._split(windows), self.data.vectors_NT)
        known = KnownHomes.of(self.data.prepared)
        return self.encode_events(known, events_of(windows), home=home)

    def encode_events(
        self, known: KnownHomes, events: Events, *, home: str = ""
    ) -> NDArray[np.float32]:
        """As `encode_windows`, of an event table of one of the known homes."""
        table, words = windows_like(known, events, self.recipe.data.windows, home)
        return self._encoded(table, self.vectors_of(words))

    def vectors_of(self, words: Sequence[str]) -> NDArray[np.float32]:
        """What the text model makes of sensors in words, where this model reads it, N x T."""
        # Their texts number anew: the vectors of the run's set would describe other sensors.
        if self.recipe.model.sensor_text:
            return caption_vectors(words, self.recipe.text)
        return np.zeros((len(words), self.meta["text_size"]), dtype=np.float32)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts as unit vectors, N x D, in the space that windows share.

        Raises:
            SetupError: the text model is not at hand.
        """
        vectors_NT = torch.from_numpy(caption_vectors(texts, self.recipe.text))
        with torch.inference_mode():
            return self.model.embed_text(vectors_NT).numpy()

    def _split(self, split: str) -> pa.Table:
        prepared = self.data.prepared
        if split not in prepared.manifest["windows"]:
            raise DataError(
                f"there is no split '{split}'.",
                hint=did_you_mean(split, prepared.manifest["windows"]),
            )
        return prepared.windows(split)

    @torch.inference_mode()
    def _encoded(self, table: pa.Table, vectors_NT: NDArray[np.float32]) -> NDArray[np.float32]:
        store, texts_NT = WindowStore.of_split(table, self.recipe), torch.from_numpy(vectors_NT)
        parts = []
        for start in range(0, len(store), _CHUNK):
            rows_B = np.arange(start, min(start + _CHUNK, len(store)))
            parts.append(self.model.embed_windows(store.fixed_batch(rows_B, texts_NT)).numpy())
        return np.concatenate(parts)
