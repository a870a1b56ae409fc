"""Reads a W&B offline run file: LevelDB log framing around protobuf records."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_FILE_HEADER, _BLOCK, _RECORD_HEADER = 7, 32_768, 7
_LAST_OR_WHOLE = (1, 4)


def records(path: Path) -> Iterator[Record]:
    """Every record of the file, in order."""
    data, offset, parts = path.read_bytes(), _FILE_HEADER, b""
    while offset + _RECORD_HEADER <= len(data):
        room = _BLOCK - offset % _BLOCK
        if room < _RECORD_HEADER:  # a block's tail too short for a header is filled with zeros
            offset += room
            continue
        _, length, kind = struct.unpack("<IHB", data[offset : offset + _RECORD_HEADER])
        offset += _RECORD_HEADER
        parts += data[offset : offset + length]
        offset += length
        if kind in _LAST_OR_WHOLE:
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def run_file(folder: Path) -> Path:
    """The one offline run file below a run's folder."""
    (found,) = folder.glob("wandb/offline-run-*/*.wandb")
    return found


def history(path: Path) -> list[dict[str, Any]]:
    """The logged rows, without W&B's own keys."""
    rows = []
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = {
                (item.key or "/".join(item.nested_key)): json.loads(item.value_json)
                for item in record.history.item
            }
            rows.append({key: value for key, value in items.items() if not key.startswith("_")})
    return rows


def the_run(path: Path) -> Any:  # Any: RunRecord
    """The record that names the run."""
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")
