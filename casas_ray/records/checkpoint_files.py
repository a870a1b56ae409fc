"""The files of one checkpoint, read back only when they are as they were written."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from casas_ray.errors import DataError, RefusedError
from casas_ray.files import sha256_of, shown
from casas_ray.sealed import fitted, read_sealed

Meta = dict[str, Any]  # Any: what JSON holds

FORMAT = 3
"""2 had another GELU: its weights would load, and mean something else."""

# Names on the disks of everybody who trains, as are the keys of meta.json.
WEIGHTS, OPTIMIZER, META = "weights.safetensors", "optimizer.safetensors", "meta.json"
FILES = (WEIGHTS, OPTIMIZER, META)

NAME = re.compile(r"step-(\d{8}|[1-9]\d{8,})")
_TORN = "use an earlier checkpoint, or train the run again in another folder."


def read_meta(folder: Path, hashes: Mapping[str, str] | None = None) -> Meta:
    """What a checkpoint says of itself, after its files' hashes were checked; `hashes` are those of
    its other files, by name, where they were taken while these were written.

    Raises:
        DataError: a file is missing, torn or altered.
        RefusedError: another version of this package wrote it.
    """
    path = folder / META
    try:
        # First, for another version may seal otherwise.
        _refuse_other_format(folder)
        meta = read_sealed(path, hint=_TORN)
        fitted(_Shape, meta, path, hint=_TORN)
        found = hashes or {name: sha256_of(folder / name) for name in (WEIGHTS, OPTIMIZER)}
    except (DataError, OSError) as error:
        raise torn(folder, error) from None
    if meta["sha256"] != found:
        raise torn(folder, "its hashes do not fit its files")
    name = NAME.fullmatch(folder.name)
    if name and int(name[1]) != meta["step"]:
        raise torn(folder, f"it is the checkpoint of step {meta['step']}")
    return meta


def _refuse_other_format(folder: Path) -> None:
    try:
        meta = json.loads((folder / META).read_bytes())
    except (ValueError, RecursionError) as error:
        raise torn(folder, error) from None
    found = meta.get("format") if isinstance(meta, dict) else None
    if isinstance(found, int) and found != FORMAT:
        raise RefusedError(
            f"{shown(folder)} is of format {found}; this version reads {FORMAT}.",
            hint="use it with the version that trained it, or train anew in another folder.",
        )


class _Shape(BaseModel):
    """What must stand in a `meta.json`, so that who reads it need not look again."""

    model_config = ConfigDict(strict=True)

    format: int
    step: int
    best: dict[str, float]
    stale: int
    recipe: dict[str, Any]  # Any: checked as settings are
    about: "_ShapeOfAbout"
    text_size: int
    sha256: dict[str, str]


class _ShapeOfAbout(BaseModel):
    fingerprint: str
    vocabulary: dict[str, list[str]]
    caveats: list[str]


def torn(folder: Path, why: object) -> DataError:
    """The error that a checkpoint is damaged."""
    reason = str(why).removesuffix(".")
    return DataError(f"{shown(folder)} is torn or altered: {reason}.", hint=_TORN)
