"""A set written as alignment JSON of shape A, for trainers that read it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from casas_ray.corpus.alignment import FIELD_PREFIX, WINDOWS_PER_GROUP, PreparedSet
from casas_ray.corpus.exchange.json_stream import Json
from casas_ray.corpus.exchange.shapes import SHAPE_A
from casas_ray.corpus.homes import load_home
from casas_ray.files import new_folder, write_json

_FOLDER = "json"


def write_shape_a(prepared: PreparedSet) -> Path:
    """The set's folder `json/` with `train.json`, `val.json`, `test.json` and `vocab.json`.

    Times are in milliseconds; positions stand as the set has them, 0 to 1 along the home's longer
    side; a value that training days never show is `[UNK]`. Caveats, such as SIMULATED home, stand
    in each window, and come back when the files are read again.
    """
    target = prepared.folder / _FOLDER
    if not target.is_dir():
        groups = _activity_groups(prepared.manifest)
        with new_folder(target) as draft:
            for split in prepared.manifest["windows"]:
                _write_split(draft / f"{split}.json", prepared, split, groups)
            ids = {
                SHAPE_A[field]: {value: id_ for id_, value in enumerate(values)}
                for field, values in prepared.vocabulary.values.items()
            }
            write_json(draft / "vocab.json", ids)
    return target


def _activity_groups(manifest: Mapping[str, Json]) -> dict[str, str]:
    """The published coarse activity of each label, over all homes that have such a grouping."""
    groups: dict[str, str] = {}
    for name in manifest["homes"]:
        home = load_home(name)
        for grouping in home.activity_groups.values() if home else ():
            groups.update(grouping)
    return groups


def _write_split(path: Path, prepared: PreparedSet, split: str, groups: Mapping[str, str]) -> None:
    captions = prepared.captions()
    windows = prepared.manifest["windows"][split]
    with path.open("w", encoding="utf-8") as out:
        opening = "["
        for start in range(0, windows, WINDOWS_PER_GROUP):
            piece = prepared.piece(split, start, min(start + WINDOWS_PER_GROUP, windows))
            for sample in _samples(piece, prepared, captions, groups):
                out.write(opening + "\n" + json.dumps(sample, ensure_ascii=False))
                opening = ","
        out.write("\n]\n")


def _samples(
    table: pa.Table, prepared: PreparedSet, captions: Sequence[str], groups: Mapping[str, str]
) -> Iterator[dict[str, Json]]:
    values = prepared.vocabulary.values
    caveats = {"caveats": list(prepared.caveats)} if prepared.caveats else {}
    for row in table.to_pylist():
        gaps = np.array(row["gap_seconds"], dtype=np.float64)
        # The first gap lies before the window. Rounded once, from sums: errors would add up.
        passed = np.concatenate([[0.0], np.cumsum(gaps[1:])])
        stamps = row["start_us"] // 1000 + np.rint(passed * 1000).astype(np.int64)
        columns = {
            name: [values[field][code] for code in row[FIELD_PREFIX + field]]
            for field, name in SHAPE_A.items()
            if field in values
        }
        columns |= {"timestamp": stamps.tolist(), "delta_t_since_prev": gaps.tolist()}
        # JSON has no NaN: a window with a sensor that hangs nowhere tells no positions at all.
        columns |= {axis: row[axis] for axis in "xy" if not np.isnan(row[axis]).any()}
        yield {
            "sample_id": row["id"],
            "events": [
                dict(zip(columns, event, strict=True))
                for event in zip(*columns.values(), strict=True)
            ],
            "captions": [captions[code] for code in row["captions"]],
            # With every window: a file has no header, and may be cut or joined on its way.
            **caveats,
            "first_activity": row["label"],
            "first_activity_l2": groups.get(row["label"], row["label"]),
        }
