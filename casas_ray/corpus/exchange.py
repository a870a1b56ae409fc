"""Alignment JSON of other pipelines (shape A): read once, checked, and kept as an alignment set.

A file is a JSON array or JSON Lines, plain or gzipped. The user's vocabulary decides which values
have an id: a training value that it misses is an error, a validation value that it misses becomes
UNK.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from casas_ray import places
from casas_ray.corpus.alignment import (
    PreparedSet,
    WindowColumns,
    caption_index,
    new_folder,
    write_captions,
    write_manifest,
    write_vocabulary,
)
from casas_ray.corpus.events import NO_ACTIVITY, US_PER_SECOND, Coded
from casas_ray.corpus.vocab import REQUIRED_FIELDS, SPECIAL, Vocabulary
from casas_ray.errors import DataError
from casas_ray.places import shown

CODE_VERSION = 1

JSON_NAMES = {
    "sensor": "sensor_id",
    "room": "room_id",
    "state": "event_type",
    "sensor_type": "sensor_type",
    "time_of_day": "tod_bucket",
    "time_gap": "delta_t_bucket",
    "day_of_week": "dow",
    "floor": "floor_id",
}
_SPECIAL_NAMES = frozenset(SPECIAL) | {"<PAD>", "<UNK>", "<MASK>"}
_LARGEST_NUMBER = 1e15
"""In milliseconds thirty thousand years; no time, gap or coordinate is larger."""

_CAPTION_LISTS = ("captions", "long_captions", "short_captions")


@dataclass(frozen=True)
class Sample:
    """One window of a file, checked."""

    where: str
    events: list[dict[str, Any]]
    captions: tuple[str, ...]
    label: str


def prepare_json(files: Mapping[str, Path], vocab: Path) -> PreparedSet:
    """The alignment set of `{"train": path, "val": path}` (and `test`, when there is one).

    Raises:
        DataError: a file is missing, torn, or holds something other than shape A.
    """
    content = [CODE_VERSION, _file_hash(vocab)]
    content += [[split, _file_hash(path)] for split, path in files.items()]
    fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    target = places.aligned() / f"json-{fingerprint[:12]}"
    if not target.is_dir():
        samples = {split: read_samples(path) for split, path in files.items()}
        vocabulary = read_vocabulary(vocab, samples["train"][0])
        with new_folder(target) as draft:
            _write(draft, samples, vocabulary, fingerprint, vocab)
    return PreparedSet(target)


def _file_hash(path: Path) -> str:
    return hashlib.sha256(_bytes(path)).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{shown(path)}: {error.strerror or error}.",
            hint="check the path; nothing was written.",
        ) from None


def _text(path: Path) -> str:
    data = _bytes(path)
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{shown(path)} is not readable text: {error}.") from None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is not whole JSON: {error}.", hint="was the file cut short? write it again."
        ) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def read_samples(path: Path) -> list[Sample]:
    """The windows of a file of shape A.

    Raises:
        DataError: names the file, the sample, the field and what was wanted.
    """
    samples = [_sample(value, where) for value, where in _values(path)]
    if not samples:
        raise DataError(f"{shown(path)} holds no sample.", hint="every split needs at least one.")
    return samples


def _values(path: Path) -> Iterator[tuple[Any, str]]:
    text = _text(path)
    if text.lstrip()[:1] == "[":
        for index, value in enumerate(_parsed(text, shown(path))):
            yield value, f"{shown(path)}: sample {index}"
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            where = f"{shown(path)}:{number}"
            yield _parsed(line, where), where


def _sample(value: Any, where: str) -> Sample:
    events = value.get("events") if isinstance(value, dict) else None
    if not isinstance(events, list) or not events or not isinstance(events[0], dict):
        raise DataError(f"{where}: wanted an object whose 'events' is a list of objects.")
    captions = [text for name in _CAPTION_LISTS for text in value.get(name) or ()]
    if not captions or not all(isinstance(text, str) and text.strip() for text in captions):
        raise DataError(f"{where}: wanted at least one caption, all of them text.")
    label = value.get("first_activity") or NO_ACTIVITY
    return Sample(where, events, tuple(captions), str(label))


def read_vocabulary(path: Path, example: Sample) -> Vocabulary:
    """The user's vocabulary, its gaps closed and its special tokens replaced by ours.

    A field counts when the vocabulary has it and the events carry it.

    Raises:
        DataError: it is not `{field: {value: id}}`, or a field that every event has is missing.
    """
    tree = _parsed(_text(path), shown(path))
    values: dict[str, tuple[str, ...]] = {}
    for field, name in JSON_NAMES.items():
        ids = tree.get(name) if isinstance(tree, dict) else None
        if isinstance(ids, dict) and name in example.events[0]:
            values[field] = SPECIAL + _by_id(ids, f"{shown(path)}: {name}")
        elif field in REQUIRED_FIELDS:
            raise DataError(
                f"{shown(path)}: no ids for '{name}', or {example.where} has no such field.",
                hint='wanted {"sensor_id": {"M001": 3, ...}, ...}',
            )
    return Vocabulary(values)


def _by_id(ids: Mapping[str, Any], where: str) -> tuple[str, ...]:
    for value, number in ids.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise DataError(f"{where}: the id of '{value}' is {number!r}; wanted 0, 1, 2, ...")
    return tuple(sorted(set(ids) - _SPECIAL_NAMES, key=lambda value: (ids[value], value)))


def _write(
    draft: Path,
    samples: Mapping[str, Sequence[Sample]],
    vocabulary: Vocabulary,
    fingerprint: str,
    vocab: Path,
) -> None:
    everything = [sample for rows in samples.values() for sample in rows]
    longest = max(len(sample.events) for sample in everything)
    scale = _scale(samples["train"])
    widest = max(len(sample.captions) for sample in everything)
    captions, ids = caption_index(
        [[_filled(sample.captions, widest) for sample in rows] for rows in samples.values()]
    )
    unseen: dict[str, int] = {}
    for (split, rows), part in zip(samples.items(), ids, strict=True):
        table = _columns(rows, vocabulary, part, longest, scale)
        unseen[split] = _count_unknown(table)
        _refuse_unknown(split, rows, vocabulary, vocab, unseen[split])
        pq.write_table(table.table(), draft / f"{split}.parquet", compression="zstd")
    write_captions(draft, captions)
    write_vocabulary(draft, vocabulary)
    write_manifest(draft, _manifest(samples, vocabulary, fingerprint, captions, unseen))


def _filled(captions: Sequence[str], count: int) -> list[str]:
    return [captions[place % len(captions)] for place in range(count)]


def _columns(
    samples: Sequence[Sample],
    vocabulary: Vocabulary,
    captions: np.ndarray,
    longest: int,
    scale: float,
) -> WindowColumns:
    length = np.array([len(sample.events) for sample in samples], dtype=np.int16)
    real = np.arange(longest) < length[:, None]
    ids = {}
    for field in vocabulary.fields:
        ids[field] = np.zeros(real.shape, dtype=np.int16)
        ids[field][real] = vocabulary.encode(field, Coded.of(_texts(samples, JSON_NAMES[field])))
    gaps = np.zeros(real.shape, dtype=np.float32)
    gaps[real] = np.maximum(_numbers(samples, "delta_t_since_prev", missing=0.0), 0.0)
    xy = np.full((*real.shape, 2), np.nan, dtype=np.float32)
    for axis, name in enumerate("xy"):
        xy[real, axis] = _numbers(samples, name, missing=np.nan) / scale
    openings = [Sample(sample.where, sample.events[:1], (), "") for sample in samples]
    first = _numbers(openings, "timestamp", missing=0.0)
    return WindowColumns(
        first_event=np.concatenate([[0], np.cumsum(length[:-1], dtype=np.int64)]),
        start_us=(first * (US_PER_SECOND // 1000)).astype(np.int64),
        length=length,
        ids=ids,
        gap_seconds=gaps,
        xy=xy,
        caption_ids=captions,
        label=[sample.label for sample in samples],
        shares=[[(sample.label, 1.0)] for sample in samples],
    )


def _scale(samples: Sequence[Sample]) -> float:
    both = [_numbers(samples, name, missing=np.nan) for name in "xy"]
    placed = np.abs(np.concatenate(both))
    return float(np.nanmax(placed)) if np.isfinite(placed).any() and np.nanmax(placed) else 1.0


def _texts(samples: Sequence[Sample], name: str) -> list[str]:
    try:
        return [str(event[name]) for sample in samples for event in sample.events]
    except (KeyError, TypeError):
        raise _missing(samples, name) from None


def _missing(samples: Sequence[Sample], name: str) -> DataError:
    for sample in samples:
        for place, event in enumerate(sample.events):
            if not isinstance(event, dict) or name not in event:
                return DataError(f"{sample.where}: event {place} has no '{name}'.")
    raise AssertionError("unreachable: some event lacked the field")


def _numbers(samples: Sequence[Sample], name: str, *, missing: float) -> np.ndarray:
    values = [event.get(name) for sample in samples for event in sample.events]
    for place, value in enumerate(values):
        if value is not None and not _is_number(value):
            where = _event_at(samples, place)
            raise DataError(f"{where}: '{name}' is {value!r:.40}; wanted a number.")
    filled = [missing if value is None else value for value in values]
    return np.asarray(filled, dtype=np.float64)


def _is_number(value: object) -> bool:
    # JSON can write 1e999, which Python reads as infinite.
    return isinstance(value, (int, float)) and abs(value) <= _LARGEST_NUMBER


def _event_at(samples: Sequence[Sample], place: int) -> str:
    for sample in samples:
        if place < len(sample.events):
            return f"{sample.where}: event {place}"
        place -= len(sample.events)
    raise AssertionError("unreachable: the place is one of an event")


def _count_unknown(columns: WindowColumns) -> int:
    return sum(int(np.count_nonzero(ids == 1)) for ids in columns.ids.values())


def _refuse_unknown(
    split: str, samples: Sequence[Sample], vocabulary: Vocabulary, vocab: Path, unseen: int
) -> None:
    if split != "train" or not unseen:
        return
    for sample in samples:
        for place, event in enumerate(sample.events):
            for field, values in vocabulary.values.items():
                if (value := str(event[JSON_NAMES[field]])) not in values:
                    raise DataError(
                        f"{sample.where}: event {place}: {JSON_NAMES[field]} '{value}' "
                        f"is not in {shown(vocab)}.",
                        hint="make the vocabulary from this training file again.",
                    )


def _manifest(
    samples: Mapping[str, Sequence[Sample]],
    vocabulary: Vocabulary,
    fingerprint: str,
    captions: Sequence[str],
    unseen: Mapping[str, int],
) -> dict[str, object]:
    return {
        "fingerprint": fingerprint,
        "home": f"json-{fingerprint[:8]}",
        "simulated": False,
        "fields": vocabulary.sizes(),
        "windows": {split: len(rows) for split, rows in samples.items()},
        "unknown_values": dict(unseen),
        "captions": {"distinct": len(captions), "examples": list(captions[:3])},
    }
