"""What is at hand: logs, prepared sets, and one window of a set as a person reads it."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casas_ray import paths
from casas_ray.corpus.alignment import FIELD_PREFIX, MANIFEST, PreparedSet
from casas_ray.corpus.detect import looks_like_a_log
from casas_ray.corpus.events import US_PER_SECOND
from casas_ray.corpus.fetch import log_at_hand, place_before
from casas_ray.corpus.homes import known_homes, load_home, logged_homes
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown

log = logging.getLogger(__name__)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def prepared_sets() -> list[PreparedSet]:
    """Every prepared set, by name."""
    return [PreparedSet(path.parent) for path in sorted(paths.aligned().glob(f"*/{MANIFEST}"))]


@dataclass(frozen=True)
class SetAtHand:
    """A prepared set, and how much it holds."""

    folder: Path
    windows: int
    bytes: int
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class HomeAtHand:
    """What is known of a home, and what of it is on this machine."""

    residents: str
    """Empty where nobody wrote them down."""

    sensors: int | None
    """None where the home has no facts of its own, and sensors are read off its log."""

    log: Path | None
    moved: Path | None
    """Where its log was, when it is there no more."""

    sets: list[SetAtHand]

    files: tuple[str, ...] | None = None
    """Of alignment JSON in place of a log, the names of its files; else None."""

    def as_dict(self) -> dict[str, object]:
        """The home as JSON can hold it, with paths as a reader would type them."""
        return {
            "residents": self.residents,
            "sensors": self.sensors,
            "log": shown(self.log) if self.log else None,
            "files": None if self.files is None else list(self.files),
            "moved": shown(self.moved) if self.moved else None,
            "sets": [vars(held) | {"folder": shown(held.folder)} for held in self.sets],
        }


def homes_at_hand() -> dict[str, HomeAtHand]:
    """Every home that has facts, a log or a set, by name, with its log and the sets made of it; and
    every set of alignment JSON, by what stands for its home.

    A log that cannot be used is none.

    Raises:
        DataError: a home's facts cannot be read.
    """
    sets = _sound(prepared_sets())
    names = {*known_homes(), *logged_homes()}
    names |= {name for prepared in sets for name in prepared.manifest["homes"]}
    homes = {name: _home_at_hand(name, sets) for name in sorted(names)}
    known = known_homes()
    of_logs = {name: home for name, home in homes.items() if name in known or home.log or home.sets}
    of_json = [prepared for prepared in sets if not prepared.manifest["homes"]]
    return of_logs | {prepared.manifest["home"]: _of_json(prepared) for prepared in of_json}


def _of_json(prepared: PreparedSet) -> HomeAtHand:
    sources = prepared.manifest.get("sources", {})
    return HomeAtHand(
        residents="",
        sensors=None,
        log=None,
        moved=None,
        sets=[_at_hand(prepared)],
        files=tuple(source["name"] for source in sources.values()),
    )


def _home_at_hand(name: str, sets: Sequence[PreparedSet]) -> HomeAtHand:
    home, log = load_home(name), log_at_hand(name)
    return HomeAtHand(
        residents=home.residents if home else "",
        sensors=len(home.sensors) if home else None,
        log=log if log and looks_like_a_log(log) else None,
        moved=place_before(name),
        sets=[_at_hand(prepared) for prepared in sets if name in prepared.manifest["homes"]],
    )


def _sound(sets: Iterable[PreparedSet]) -> list[PreparedSet]:
    """The sets that say what they are; of the others a warning."""
    sound = []
    for prepared in sets:
        try:
            _ = prepared.manifest
            sound.append(prepared)
        except DataError as error:
            log.warning("%s", error.problem)
    return sound


def _at_hand(prepared: PreparedSet) -> SetAtHand:
    windows = sum(prepared.manifest["windows"].values())
    return SetAtHand(prepared.folder, windows, prepared.size_on_disk(), prepared.caveats)


@dataclass(frozen=True)
class ReadableWindow:
    """A training window with its values instead of ids."""

    start: str
    fields: dict[str, list[str]]
    """By field, one value an event."""

    gap_seconds: list[float]
    captions: list[str]
    labels: list[tuple[str, float]]


def read_window(prepared: PreparedSet, index: int) -> ReadableWindow:
    """A training window of a set as a person reads it.

    Raises:
        SettingsError: the set has no training window of that index.
    """
    windows = prepared.manifest["windows"]["train"]
    if not 0 <= index < windows:
        raise SettingsError(
            f"there is no training window {index}.", hint=f"there are 0 to {windows - 1}"
        )
    row = prepared.piece("train", index, index + 1)
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
    # It comes from a checkpoint, and a pattern that it held could find any folder.
    if not _FINGERPRINT.fullmatch(fingerprint):
        return None
    folders = sorted(paths.aligned().glob(f"*-{fingerprint[:12]}"))
    return folders[0] if folders else None
