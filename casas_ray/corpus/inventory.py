"""What is at hand: logs, prepared sets, and one window of a set as a person reads it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casas_ray import paths
from casas_ray.corpus.alignment import FIELD_PREFIX, MANIFEST, PreparedSet
from casas_ray.corpus.events import US_PER_SECOND
from casas_ray.errors import SettingsError


def logged_homes() -> list[str]:
    """Homes with a folder of raw logs; simulated logs are not homes."""
    folders = (path for path in paths.raw().glob("*") if path.is_dir())
    return [path.name for path in folders if "-simulated-" not in path.name]


def prepared_sets() -> list[PreparedSet]:
    """Every prepared set, by name."""
    return [PreparedSet(path.parent) for path in sorted(paths.aligned().glob(f"*/{MANIFEST}"))]


@dataclass(frozen=True)
class ReadableWindow:
    """A training window with its values instead of ids."""

    start: str
    fields: dict[str, list[str]]
    """By field, one value an event."""

    gap_seconds: list[float]
    captions: list[str]
    labels: list[tuple[str, float]]


def read_window(prepared: PreparedSet, place: int) -> ReadableWindow:
    """One training window of a set.

    Raises:
        SettingsError: the set has no window at that place.
    """
    windows = prepared.manifest["windows"]["train"]
    if not 0 <= place < windows:
        raise SettingsError(
            f"there is no training window {place}.", hint=f"there are 0 to {windows - 1}"
        )
    row = prepared.piece("train", place, place + 1)
    values = prepared.vocabulary.values
    texts = prepared.captions()
    start = np.datetime64(row.column("start_us")[0].as_py() // US_PER_SECOND, "s")
    return ReadableWindow(
        start=str(start).replace("T", " "),
        fields={
            field: [names[code] for code in row.column(FIELD_PREFIX + field)[0].as_py()]
            for field, names in values.items()
        },
        gap_seconds=row.column("gap_seconds")[0].as_py(),
        captions=[texts[code] for code in row.column("captions")[0].as_py()],
        labels=list(
            zip(row.column("labels")[0].as_py(), row.column("shares")[0].as_py(), strict=True)
        ),
    )


def set_folder(fingerprint: str) -> Path | None:
    """The folder of the set with this fingerprint, or None."""
    found = sorted(paths.aligned().glob(f"*-{fingerprint[:12]}"))
    return found[0] if found else None
