"""A trained run as a folder that needs nothing else, opened; export.py writes it.

DIR/
  weights.safetensors   the best checkpoint's
  config.json           the recipe
  vocab.json            for each field its values; an id is an index in the list
  homes.json            the sensors of each home: type, room, position
  export.json           which checkpoint it is, and the hashes of all other files
  README.md             the model card
  clusters/NAME/        clusters that were fitted on the run's training days, where there are any
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from casas_ray.config import Recipe
from casas_ray.corpus.clean import clean
from casas_ray.corpus.events import Events
from casas_ray.corpus.homes import Home
from casas_ray.corpus.log import read_log
from casas_ray.corpus.new_events import EventColumns, KnownHomes, events_of
from casas_ray.corpus.open_windows import OpenWindows
from casas_ray.errors import CasasError, RefusedError, SettingsError
from casas_ray.evals.telling import MOST_UNKNOWN, Teller, refuse_strangers
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import (
    sha256_of,
    shown,
    why,
)
from casas_ray.sealed import damaged, fitted, read_sealed

EXPORT, CONFIG, VOCAB, HOMES, CARD = (
    "export.json",
    "config.json",
    "vocab.json",
    "homes.json",
    "README.md",
)
FORMAT = 1
CLUSTERS = "clusters"
_AGAIN = "`casas-ray export RUN DIR` writes it anew."


class About(BaseModel):
    """What stands in an `export.json`."""

    model_config = ConfigDict(strict=True)

    format: int
    step: int
    text_size: int
    aggregates: int
    fingerprint: str
    caveats: list[str]
    clusters: str
    """The name of the clusters' folder, or nothing."""

    sha256: dict[str, str]
    """Of every other file but the model card, by its path in the folder."""


@dataclass(frozen=True)
class ExportedModel:
    """A trained model with its home, as `export` wrote it; the hashes of its files were checked
    when it was opened."""

    folder: Path
    known: KnownHomes
    clusters: str
    """The name of the clusters that are with it, or nothing."""

    _run: TrainedRun

    @classmethod
    def open(cls, folder: Path) -> "ExportedModel":
        """The model in a folder.

        Raises:
            DataError: a file is missing, torn or altered.
            RefusedError: another version of this package wrote it.
        """
        path = folder / EXPORT
        held = read_sealed(path, hint=_AGAIN)
        if held.get("format") != FORMAT:
            raise RefusedError(
                f"{shown(folder)} is of format {held.get('format')}; this version reads {FORMAT}.",
                hint="use it with the version that wrote it, or export the run again.",
            )
        about = fitted(About, held, path, hint=_AGAIN)
        for name, wanted in about.sha256.items():
            _require(folder / name, wanted)
        try:
            values, homes, recipe = (
                json.loads((folder / name).read_bytes()) for name in (VOCAB, HOMES, CONFIG)
            )
            known = KnownHomes.build({"vocabulary": values, "homes": homes})
            of_model = {
                "vocabulary": values,
                "caveats": about.caveats,
                "fingerprint": about.fingerprint,
                "aggregates": about.aggregates,
            }
            run = TrainedRun(
                folder, folder, {**about.model_dump(), "about": of_model}, Recipe.build(recipe)
            )
        except (CasasError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(path, error, hint=_AGAIN) from None
        return cls(folder, known, about.clusters, run)

    @property
    def recipe(self) -> Recipe:
        """The settings that it was trained with."""
        return self._run.recipe

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return self._run.step

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every number of it must be seen with."""
        return self._run.caveats

    def encode_windows(
        self, windows: EventColumns | str | Path, *, home: str = ""
    ) -> NDArray[np.float32]:
        """Windows as unit vectors, N x D, in time order: of events in columns `time`, `sensor` and
        `state`, or of a raw log by its path, cut into windows as those of the training were.

        `home` names the home; left out, it is the only one.

        Raises:
            DataError: the events do not fit the home, or the log cannot be read.
            SetupError: the text model is wanted, and is not at hand.
        """
        return self._run.encode_events(self.known, self._events(windows, home), home=home)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts as unit vectors, N x D, in the space that windows share.

        Raises:
            SetupError: the text model is not at hand.
        """
        return self._run.encode_text(texts)

    def activities(self, windows: EventColumns | str | Path, *, home: str = "") -> pa.Table:
        """The windows of events, or of a raw log, with the cluster of each and what it is called: a
        row a window, with `start`, `end`, `line`, `events`, `cluster` and `name`.

        Raises:
            DataError: as for `encode_windows`.
            SettingsError: it was exported without clusters.
        """
        if not self.clusters:
            raise SettingsError(
                f"{shown(self.folder)} was exported without clusters.",
                hint="`casas-ray cluster RUN` finds them; then export it again.",
            )
        teller = self.teller(home=home)
        coming = OpenWindows(teller.kept.windows, remembered_us=teller.remembered_us)
        parts = [coming.add(self._events(windows, home)), coming.end()]
        rows = [vars(row) for part in parts if part is not None for row in teller.told(part)]
        return pa.Table.from_pylist(rows, schema=_ROWS)

    def teller(self, *, home: str = "") -> Teller:
        """What tells the clusters of windows.

        Raises:
            DataError: the clusters are damaged, or the home is not known.
        """
        folder = self.folder / CLUSTERS / self.clusters
        return Teller.open(folder, home=home, model=self._run)

    def _events(self, windows: EventColumns | str | Path, home: str) -> Events:
        if not isinstance(windows, str | Path):
            return events_of(windows)
        facts = self.known.facts(home)
        log = read_log(Path(windows))
        cleaned = clean(log, facts, name=facts.home, drop_types=self.recipe.data.drop_types)
        return _of_known(cleaned.events, facts, log.path)


def _of_known(events: Events, facts: Home, log: Path) -> Events:
    """The events without those of sensors that the home did not have."""
    known = np.array([name in facts.sensors for name in events.sensor.names], dtype=np.bool_)
    rows = np.flatnonzero(known[events.sensor.codes])
    counts = events.sensor.counts()
    strangers = Counter(
        {name: count for name, count in counts.items() if name not in facts.sensors}
    )
    refuse_strangers(log, facts, strangers, len(events), MOST_UNKNOWN)
    return events.take(rows)


def _require(path: Path, sha256: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise damaged(path, why(error), hint=_AGAIN) from None
    if found != sha256:
        raise damaged(path, "it is not as it was written", hint=_AGAIN)


_ROWS = pa.schema(
    [
        ("start", pa.string()),
        ("end", pa.string()),
        ("line", pa.int64()),
        ("events", pa.int64()),
        ("cluster", pa.int64()),
        ("name", pa.string()),
    ]
)
