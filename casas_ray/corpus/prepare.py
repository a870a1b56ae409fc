"""From logs on disk to an alignment set on disk; safe to repeat."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casas_ray import paths
from casas_ray.config import DataConfig
from casas_ray.corpus.alignment import (
    WINDOWS_PER_GROUP,
    CaptionIndex,
    PreparedSet,
    SplitWriter,
    input_hash,
    write_captions,
    write_manifest,
    write_vocabulary,
)
from casas_ray.corpus.bringing import log_hash
from casas_ray.corpus.captions import describe, sensor_words
from casas_ray.corpus.clean import Cleaned, clean
from casas_ray.corpus.columns import DescribedEvents, window_columns, window_names
from casas_ray.corpus.events import Coded
from casas_ray.corpus.exchange.written import WrittenCaptions
from casas_ray.corpus.homes import Home, load_home
from casas_ray.corpus.log import RawLog, read_log
from casas_ray.corpus.manifest import Diversity, manifest_of
from casas_ray.corpus.set_checks import set_to_fill, usable
from casas_ray.corpus.sidecars import write_activities, write_events, write_quarantine
from casas_ray.corpus.split import SPLITS, Days, split_days, stretches
from casas_ray.corpus.vocab import Vocabulary, field_columns
from casas_ray.corpus.windows import Windows, cut
from casas_ray.errors import DataError
from casas_ray.files import shown

CODE_VERSION = 5
"""Raised when the same log and settings come to give another set; else old sets pass for new."""

Watch = Callable[[str], None]
"""Hears what is being done, in words."""

Logs = Mapping[str, Path]
"""The log of each home."""


@dataclass(frozen=True)
class HomePart:
    """Everything of one home between its log and the files of a set."""

    name: str
    log: RawLog
    cleaned: Cleaned
    columns: dict[str, Coded]
    days: Days
    windows: dict[str, Windows]
    first_event: int
    """The index of its first event among those of all homes."""

    @property
    def described(self) -> DescribedEvents:
        """Its events with every field of theirs."""
        events, home = self.cleaned.events, self.cleaned.home
        return DescribedEvents(self.name, events, home, self.columns, self.first_event)

    @property
    def training_columns(self) -> dict[str, Coded]:
        """Its fields on training days alone."""
        rows = np.flatnonzero(np.isin(self.cleaned.events.day, self.days.train))
        return {field: column.take(rows) for field, column in self.columns.items()}


def prepare(config: DataConfig, logs: Logs, *, watch: Watch = lambda _: None) -> PreparedSet:
    """The alignment set of the homes' logs; made when there is none of these settings yet.

    Raises:
        DataError: a log cannot be used, or some split would have no window.
    """
    facts = {home: load_home(home) for home in config.homes}
    fingerprint = _fingerprint(config, logs, facts)
    kind = f"{config.label}-simulated" if config.simulated else config.label
    # Named by what made it, so a set on disk never stands for other settings or another log.
    end = f"-{fingerprint[:12]}"
    target = paths.aligned() / (paths.folder_name(kind, most=paths.LONGEST_NAME - len(end)) + end)
    prepared = PreparedSet(target)
    if not usable(prepared, fingerprint):
        parts: list[HomePart] = []
        for home in config.homes:
            watch(f"reading {shown(logs[home])}")
            first = sum(len(part.cleaned.events) for part in parts)
            parts.append(_read(config, home, logs[home], facts[home], first))
            for note in parts[-1].cleaned.notes:
                watch(f"{home}: {note}")
        _fill_missing_fields(parts)
        _refuse_empty_split(parts, config)
        watch(f"writing {shown(target)}")
        with set_to_fill(target) as draft:
            _write(draft, parts, config, fingerprint)
    return PreparedSet(target)


def _fingerprint(config: DataConfig, logs: Logs, facts: Mapping[str, Home | None]) -> str:
    captions = config.captions.file
    settings = config.of_set.told()
    # What shapes a simulated log is in the log's own hash.
    del settings["simulate"]
    content = {
        "code": CODE_VERSION,
        "logs": {home: log_hash(log) for home, log in logs.items()},
        "settings": settings,
        "homes": {name: home.digest() if home else None for name, home in facts.items()},
        "captions": input_hash(Path(captions), "see data.captions.file") if captions else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(config: DataConfig, name: str, path: Path, facts: Home | None, first: int) -> HomePart:
    log = read_log(path)
    cleaned = clean(
        log,
        facts,
        name=name,
        drop_types=config.drop_types,
        debounce_seconds=config.clean.debounce_seconds,
    )
    events = cleaned.events
    # Days first, windows after: no window may hold events of two splits.
    days = split_days(events, config.split, name)
    columns = field_columns(events, cleaned.home)
    if len(config.homes) > 1:
        # M001 hangs in every home; rooms and states mean the same in all of them.
        qualified = (f"{name}.{sensor}" for sensor in columns["sensor"].names)
        columns["sensor"] = columns["sensor"].translated(qualified)
    windows = {
        split: cut(events, stretches(events, days.of(split)), config.windows) for split in SPLITS
    }
    return HomePart(name, log, cleaned, columns, days, windows, first)


def _fill_missing_fields(parts: Sequence[HomePart]) -> None:
    """Give a home without floors, beside one that has them, the floor `unknown`."""
    fields = {field for part in parts for field in part.columns}
    for part in parts:
        for field in fields - part.columns.keys():
            nowhere = np.zeros(len(part.cleaned.events), np.int32)
            part.columns[field] = Coded(nowhere, ("unknown",))


def _refuse_empty_split(parts: Sequence[HomePart], config: DataConfig) -> None:
    for split in SPLITS:
        if not any(len(part.windows[split]) for part in parts):
            logs = ", ".join(shown(part.log.path) for part in parts)
            raise DataError(
                f"{logs}: split '{split}' has no window of {config.windows.least_events} events or "
                "more.",
                hint="bring more days, or lower data.windows.min_events.",
            )


def _write(draft: Path, parts: Sequence[HomePart], config: DataConfig, fingerprint: str) -> None:
    # Of training days alone: a value that only later days show has to be UNK there.
    vocabulary = Vocabulary.fit(part.training_columns for part in parts)
    index, diversity = CaptionIndex(), Diversity()
    written = WrittenCaptions.read(config.captions.file) if config.captions.file else None
    for split in SPLITS:
        with SplitWriter(draft, split) as writer:
            for part in parts:
                for windows in _pieces(part.windows[split]):
                    ids = index.add(_captions(part, windows, config, split, written))
                    diversity.add(split, ids)
                    described = index.add([sensor_words(part.cleaned.events, part.cleaned.home)])
                    writer.add(
                        window_columns(part.described, windows, vocabulary, ids, described[0])
                    )
    if written is not None:
        written.refuse_left_over()
    write_captions(draft, index.captions)
    write_vocabulary(draft, vocabulary)
    homes = [(part.name, part.log, part.cleaned) for part in parts]
    write_events(draft, homes)
    write_activities(draft, homes)
    write_quarantine(draft, homes)
    about = manifest_of(parts, config, vocabulary, diversity.report(index.captions))
    version = {"fingerprint": fingerprint, "code_version": CODE_VERSION}
    write_manifest(draft, version | about)


def _pieces(windows: Windows) -> list[Windows]:
    starts = range(0, len(windows), WINDOWS_PER_GROUP)
    return [windows.part(start, start + WINDOWS_PER_GROUP) for start in starts]


def _captions(
    part: HomePart,
    windows: Windows,
    config: DataConfig,
    split: str,
    written: WrittenCaptions | None,
) -> list[tuple[str, ...]]:
    # Held-out windows are only ever asked for by their first caption, and every distinct caption
    # costs a pass of the text tower.
    most = config.captions.per_window if split == "train" else 1
    if written is not None:
        names = window_names(part.name, part.cleaned.events, windows)
        return [written.of(name)[:most] for name in names]
    style = config.captions.replace({"per_window": most})
    return describe(windows, part.cleaned.events, part.cleaned.home, style)
