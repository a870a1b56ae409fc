"""Alignment JSON of other pipelines, both shapes: read once, checked, and kept as an alignment set.

The user's vocabulary decides which values have an id: a training value that it misses is an error,
a validation value that it misses becomes UNK. Files are read window by window.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from casas_ray import paths
from casas_ray.corpus.alignment import (
    CaptionIndex,
    PreparedSet,
    SplitWriter,
    input_hash,
    write_captions,
    write_manifest,
    write_vocabulary,
)
from casas_ray.corpus.exchange.field_names import (
    ALIASES,
    carries,
    is_missing,
    is_special,
    names_in,
)
from casas_ray.corpus.exchange.json_columns import columns_of, position_notes, position_scale
from casas_ray.corpus.exchange.json_stream import Json, records, whole
from casas_ray.corpus.exchange.json_times import time_notes
from casas_ray.corpus.exchange.shapes import Sample, sample_of
from casas_ray.corpus.exchange.written import read_written
from casas_ray.corpus.manifest import Diversity
from casas_ray.corpus.set_checks import set_to_fill, usable
from casas_ray.corpus.split import SPLITS
from casas_ray.corpus.vocab import MOST_VALUES, REQUIRED_FIELDS, SPECIAL, Vocabulary
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import require_plain, shown, why

CODE_VERSION = 6
"""Raised when the same files come to give another set."""

_EVENTS_AT_A_TIME = 100_000


@dataclass(frozen=True)
class JsonFiles:
    """The files of one set: windows by split, a vocabulary, and captions where they lie apart."""

    windows: Mapping[str, Path]
    vocab: Path
    captions: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def beside(cls, train: Path, *, style: str = "") -> "JsonFiles":
        """The files beside a `train.json`.

        They are `val.json`, `test.json`, `vocab.json` and `{split}_captions_{style}.json`.

        Raises:
            SettingsError: captions of several styles lie there and none was named.
            DataError: `val.json` or `vocab.json` is missing.
        """
        try:
            require_plain(train)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{shown(train)}: {why(error)}.",
                hint="wanted a train.json with val.json and vocab.json beside it.",
            ) from None
        suffix = train.name.partition(".")[2]
        windows = {"train": train}
        for split in SPLITS[1:]:
            if (path := train.with_name(f"{split}.{suffix}")).exists():
                windows[split] = path
        vocab = train.with_name("vocab.json")
        for path in (train, train.with_name(f"val.{suffix}"), vocab):
            if not path.exists():
                raise DataError(
                    f"{shown(path)}: no such file.",
                    hint="wanted train, val and vocab beside each other.",
                )
        captions = {split: _captions_beside(train, split, style) for split in windows}
        return cls(windows, vocab, {split: path for split, path in captions.items() if path})


def _captions_beside(train: Path, split: str, style: str) -> Path | None:
    files = sorted(train.parent.glob(f"{split}_captions_{style or '*'}.json*"))
    if style and not files:
        raise DataError(f"{shown(train.parent)}: no {split}_captions_{style}.json.")
    if len(files) > 1:
        raise SettingsError(
            f"captions of several styles lie in {shown(train.parent)}: "
            f"{', '.join(path.name for path in files)}.",
            hint="choose one with --captions STYLE.",
        )
    return files[0] if files else None


def prepare_json(files: JsonFiles) -> PreparedSet:
    """The alignment set of the files; made when there is none of them yet.

    Raises:
        DataError: a file is missing, torn, or holds something other than shape A or B.
    """
    sources = _sources(files)
    fingerprint = _fingerprint(sources)
    target = paths.aligned() / f"json-{fingerprint[:12]}"
    if not usable(PreparedSet(target), fingerprint):
        with set_to_fill(target) as draft:
            _write(draft, files, {"fingerprint": fingerprint, "sources": sources})
    return PreparedSet(target)


def _sources(files: JsonFiles) -> dict[str, dict[str, str]]:
    """Name and SHA-256 of each file, by what it is."""
    captions = {f"captions of {split}": path for split, path in files.captions.items()}
    given = {**files.windows, "vocab": files.vocab, **captions}
    hint = "check the path; nothing was written."
    return {
        what: {"name": path.name, "sha256": input_hash(path, hint)} for what, path in given.items()
    }


def _fingerprint(sources: Mapping[str, Mapping[str, str]]) -> str:
    # Not by their names: the same files under others are the same set.
    hashes = {what: source["sha256"] for what, source in sources.items()}
    content = json.dumps([CODE_VERSION, hashes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _write(draft: Path, files: JsonFiles, origin: Mapping[str, object]) -> None:
    index, diversity = CaptionIndex(), Diversity()
    counts: dict[str, int] = {}
    unseen: dict[str, int] = {}
    caveats: dict[str, None] = {}
    # Training windows come first: ids and scale of every split are read off their first piece.
    vocabulary, scale, notes = None, 1.0, list[str]()
    for split, path in files.windows.items():
        with SplitWriter(draft, split) as writer:
            unseen[split] = 0
            for samples in _pieces(path, files.captions.get(split)):
                if vocabulary is None:
                    vocabulary = read_vocabulary(files.vocab, samples)
                    notes = time_notes(samples) + position_notes(samples)
                    scale = position_scale(samples)
                ids = index.add([sample.captions for sample in samples])
                diversity.add(split, ids)
                columns, unknown = columns_of(samples, vocabulary, ids, scale, index)
                if unknown and split == "train":
                    _refuse_unknown(samples, vocabulary, files.vocab)
                unseen[split] += unknown
                caveats |= {caveat: None for sample in samples for caveat in sample.caveats}
                writer.add(columns)
            counts[split] = writer.windows
        if not counts[split]:
            raise DataError(
                f"{shown(path)} holds no sample.", hint="every split needs at least one."
            )
    assert vocabulary is not None  # the training split has a sample, or it was refused
    write_captions(draft, index.captions)
    write_vocabulary(draft, vocabulary)
    read = {
        "fields": vocabulary.sizes(),
        "windows": counts,
        "unknown_values": unseen,
        "captions": diversity.report(index.captions),
        "notes": notes,
    }
    write_manifest(draft, {**origin, **_of_nobody(origin["fingerprint"], list(caveats)), **read})


def _of_nobody(fingerprint: object, caveats: list[str]) -> dict[str, object]:
    """The part of a manifest that says whose home it is, which the files do not tell, and what
    their windows say must be said of them."""
    return {
        "code_version": CODE_VERSION,
        "home": f"json-{str(fingerprint)[:8]}",
        "simulated": any(caveat.startswith("SIMULATED") for caveat in caveats),
        "homes": {},
        "caveats": caveats,
    }


def _pieces(path: Path, captions: Path | None) -> Iterator[list[Sample]]:
    """Samples, about as many at a time as hold `_EVENTS_AT_A_TIME` events."""
    given = read_written(captions) if captions else None
    piece: list[Sample] = []
    events = 0
    for value, where in records(path):
        piece.append(sample_of(value, where, given))
        events += len(piece[-1].events)
        if events >= _EVENTS_AT_A_TIME:
            yield piece
            piece, events = [], 0
    if piece:
        yield piece


def read_vocabulary(path: Path, samples: Sequence[Sample]) -> Vocabulary:
    """The user's vocabulary, its gaps closed and its special tokens replaced by ours.

    A field counts when the vocabulary has it and the events carry it.

    Raises:
        DataError: it is not `{field: {value: id}}`, or a field that every set has is missing.
    """
    tree, names = whole(path), names_in(samples)
    values: dict[str, tuple[str, ...]] = {}
    for field_name, name in names.items():
        ids = _ids_of(tree, field_name)
        if isinstance(ids, dict) and carries(samples, name):
            values[field_name] = SPECIAL + _by_id(ids, f"{shown(path)}: {name}")
        elif field_name in REQUIRED_FIELDS:
            raise DataError(
                f"{shown(path)}: no ids for '{name}', or {samples[0].where} has no such field.",
                hint='wanted {"sensor_id": {"M001": 3, ...}, ...}',
            )
    return Vocabulary(values)


def _ids_of(tree: Json, field_name: str) -> Json:
    candidates = (tree.get(name) for name in ALIASES[field_name]) if isinstance(tree, dict) else ()
    return next((ids for ids in candidates if ids is not None), None)


def _by_id(ids: Mapping[str, Json], where: str) -> tuple[str, ...]:
    # A bool is an int to Python, and JSON's true would pass for the id 1.
    for value, number in ids.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise DataError(f"{where}: the id of '{value}' is {number!r:.40}; wanted 0, 1, 2, ...")
    if len(ids) > MOST_VALUES:
        raise DataError(f"{where} has {len(ids):,} values; a field has {MOST_VALUES:,} at most.")
    values = (value for value in ids if not is_special(value))
    return tuple(sorted(values, key=lambda value: (ids[value], value)))


def _refuse_unknown(samples: Sequence[Sample], vocabulary: Vocabulary, vocab: Path) -> None:
    names = names_in(samples)
    for sample in samples:
        for index, event in enumerate(sample.events):
            for field_name, values in vocabulary.values.items():
                value = event.get(name := names[field_name])
                if is_missing(value) or str(value) in values[len(SPECIAL) :]:
                    continue
                raise DataError(
                    f"{sample.where}: event {index}: {name} '{value}' is not in {shown(vocab)}.",
                    hint="make the vocabulary from this training file again.",
                )
