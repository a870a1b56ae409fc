"""From a log on disk to an alignment set on disk; safe to repeat."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casas_ray import places
from casas_ray.config import DataConfig
from casas_ray.corpus.alignment import (
    PreparedSet,
    WindowColumns,
    caption_index,
    new_folder,
    write_captions,
    write_manifest,
    write_vocabulary,
)
from casas_ray.corpus.captions import describe
from casas_ray.corpus.clean import Cleaned, clean
from casas_ray.corpus.events import Coded, Events, date_text
from casas_ray.corpus.homes import Home, load_home
from casas_ray.corpus.log import RawLog, read_log
from casas_ray.corpus.split import SPLITS, Days, split_days, stretches
from casas_ray.corpus.vocab import PAD, Vocabulary, field_columns
from casas_ray.corpus.windows import Windows, cut, label_shares
from casas_ray.errors import DataError

CODE_VERSION = 1
"""Raised when the same log and settings come to give another set."""

Watch = Callable[[str], None]


@dataclass(frozen=True)
class Corpus:
    """Everything between the log and the files of a set."""

    log: RawLog
    cleaned: Cleaned
    columns: dict[str, Coded]
    vocabulary: Vocabulary
    days: Days
    windows: dict[str, Windows]


def prepare(config: DataConfig, log: Path, *, watch: Watch = lambda _: None) -> PreparedSet:
    """The alignment set of a log; made when there is none of these settings yet.

    Raises:
        DataError: the log cannot be used, or some split would have no window.
    """
    home = load_home(config.home)
    fingerprint = _fingerprint(config, log, home)
    kind = f"{config.home}-simulated" if config.simulated else config.home
    target = places.aligned() / f"{kind}-{fingerprint[:12]}"
    if not target.is_dir():
        watch(f"reading {places.shown(log)}")
        corpus = _build(config, log, home)
        watch(f"writing {places.shown(target)}")
        with new_folder(target) as draft:
            _write(draft, corpus, config, fingerprint)
    return PreparedSet(target)


def _fingerprint(config: DataConfig, log: Path, home: Home | None) -> str:
    content = {
        "code": CODE_VERSION,
        "log": _file_hash(log),
        "settings": config.model_dump(mode="json", exclude={"simulate"}),
        "home": home.digest() if home else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{places.shown(path)}: {error.strerror or error}.",
            hint="name the log with --log PATH",
        ) from None


def _build(config: DataConfig, log_path: Path, home: Home | None) -> Corpus:
    log = read_log(log_path)
    cleaned = clean(log, home, name=config.home, drop_types=config.drop_types)
    events = cleaned.events
    days = split_days(events, config.split)
    columns = field_columns(events, cleaned.home)
    training_rows = np.flatnonzero(np.isin(events.day, days.train))
    windows = {split: cut(stretches(events, days.of(split)), config.windows) for split in SPLITS}
    for split, found in windows.items():
        if not len(found):
            raise DataError(
                f"{places.shown(log_path)}: split '{split}' has no window of "
                f"{config.windows.min_events} events or more.",
                hint="bring more days, or lower data.windows.min_events.",
            )
    return Corpus(log, cleaned, columns, Vocabulary.fit(columns, training_rows), days, windows)


def _write(draft: Path, corpus: Corpus, config: DataConfig, fingerprint: str) -> None:
    events, home = corpus.cleaned.events, corpus.cleaned.home
    # Held-out windows are only ever asked for by their first caption, and every distinct caption
    # costs a pass of the text tower.
    first_only = config.captions.replace({"per_window": 1})
    styles = {"train": config.captions, "val": first_only, "test": first_only}
    described = [describe(corpus.windows[split], events, home, styles[split]) for split in SPLITS]
    captions, caption_ids = caption_index(described)
    for split, ids in zip(SPLITS, caption_ids, strict=True):
        table = _columns(corpus, split, ids, config.windows.length).table()
        pq.write_table(table, draft / f"{split}.parquet", compression="zstd")
    pq.write_table(_event_table(events), draft / "events.parquet", compression="zstd")
    write_captions(draft, captions)
    write_vocabulary(draft, corpus.vocabulary)
    _write_quarantine(draft, corpus.log)
    write_manifest(draft, _manifest(corpus, config, fingerprint, captions))


def _columns(
    corpus: Corpus, split: str, captions: NDArray[np.int32], longest: int
) -> WindowColumns:
    events, windows = corpus.cleaned.events, corpus.windows[split]
    rows, real = windows.rows(longest)
    shares = label_shares(windows, events.label)
    ids = {
        field: np.where(real, corpus.vocabulary.encode(field, column)[rows], np.int16(PAD))
        for field, column in corpus.columns.items()
    }
    position = scaled_positions(corpus.cleaned.home)
    xy = np.array([position.get(name, (np.nan, np.nan)) for name in events.sensor.names])
    return WindowColumns(
        first_event=windows.first,
        start_us=events.time_us[windows.first],
        length=windows.length.astype(np.int16),
        ids=ids,
        gap_seconds=np.where(real, events.gap_seconds[rows], 0.0).astype(np.float32),
        xy=np.where(real[..., None], xy[events.sensor.codes[rows]], np.nan).astype(np.float32),
        caption_ids=captions,
        label=[row[0][0] for row in shares],
        shares=shares,
    )


def scaled_positions(home: Home) -> dict[str, tuple[float, float]]:
    """Sensor positions on the home's floor plan, from 0 to 1 along its longer side.

    The scale is the home's, not a file's: train and test days share it.
    """
    placed = {name: sensor.xy for name, sensor in home.sensors.items() if sensor.xy}
    longest = max((max(xy) for xy in placed.values()), default=1.0)
    return {name: (x / longest, y / longest) for name, (x, y) in placed.items()}


def _event_table(events: Events) -> pa.Table:
    coded = {"sensor": events.sensor, "state": events.state, "label": events.label}
    columns: dict[str, pa.Array] = {
        "time_us": pa.array(events.time_us),
        "line": pa.array(events.line),
    }
    for name, column in coded.items():
        columns[name] = pa.DictionaryArray.from_arrays(column.codes, list(column.names))
    return pa.table(columns)


def _write_quarantine(draft: Path, log: RawLog) -> None:
    with (draft / "quarantine.tsv").open("w", encoding="utf-8", errors="backslashreplace") as out:
        out.write("line\treason\ttext\n")
        for row in sorted(log.rejected):
            out.write(f"{row.number}\t{row.reason}\t{row.text[:200]!r}\n")


def _manifest(
    corpus: Corpus, config: DataConfig, fingerprint: str, captions: list[str]
) -> dict[str, object]:
    log, cleaned = corpus.log, corpus.cleaned
    return {
        "fingerprint": fingerprint,
        "home": config.home,
        "simulated": config.simulated,
        "settings": config.model_dump(mode="json"),
        "log": {"name": log.path.name, "shape": log.dialect, "lines": log.total},
        "used": len(cleaned.events),
        "quarantined": log.reasons(),
        "dropped_by_type": cleaned.dropped_types,
        "noticed": cleaned.noticed,
        "home_facts": "derived from the log" if cleaned.home.derived else "data/homes",
        "sensors_by_room": _sensors_by_room(cleaned),
        "fields": corpus.vocabulary.sizes(),
        "days": {split: [date_text(day) for day in corpus.days.of(split)] for split in SPLITS},
        "windows": {split: len(windows) for split, windows in corpus.windows.items()},
        "labels": {split: _label_counts(corpus, split) for split in SPLITS},
        "captions": {"distinct": len(captions), "examples": captions[:3]},
    }


def _sensors_by_room(cleaned: Cleaned) -> dict[str, int]:
    rooms = [cleaned.home.sensors[name].room for name in cleaned.events.sensor.names]
    return {room: rooms.count(room) for room in sorted(set(rooms))}


def _label_counts(corpus: Corpus, split: str) -> dict[str, int]:
    events = corpus.cleaned.events
    return events.label.take(np.flatnonzero(np.isin(events.day, corpus.days.of(split)))).counts()
