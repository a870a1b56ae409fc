"""JSON files of our own that carry their hash, and are checked when they are read back."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from casas_ray.errors import DataError
from casas_ray.files import shown, write_json

SEAL = "seal"
"""The key of the hash of all else; files of earlier versions have none."""

Shape = TypeVar("Shape")
Object = dict[str, Any]  # Any: what JSON holds


def write_sealed(path: Path, value: Mapping[str, object]) -> None:
    """Put an object into the file with its hash: all of it or none."""
    write_json(path, sealed(value))


def sealed(value: Mapping[str, object]) -> Object:
    """The object as JSON holds it, with the hash of all else under `seal`."""
    held = {key: item for key, item in json.loads(json.dumps(value)).items() if key != SEAL}
    return held | {SEAL: _seal_of(held)}


def read_sealed(path: Path, *, hint: str) -> Object:
    """The object in a file, without its seal.

    Raises:
        DataError: it is missing, torn, no object, or does not fit its seal.
    """
    held = _parsed(path, hint)
    try:
        if not isinstance(held, dict):
            raise damaged(path, "it holds no object", hint=hint)
        seal = held.pop(SEAL, None)
        # Hashed without a seal too: text that cannot be written as UTF-8 could not be printed.
        found = _seal_of(held)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, hint=hint) from None
    if seal is not None and seal != found:
        raise damaged(path, "it was changed after it was written", hint=hint)
    return held


def _parsed(path: Path, hint: str) -> Any:  # Any: what JSON holds
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise damaged(path, "there is no such file", hint=hint)
        content = path.read_bytes()
        if not content.strip():
            raise damaged(path, f"{len(content)} bytes of nothing", hint=hint)
        return json.loads(content)
    except OSError as error:
        raise damaged(path, error.strerror or error, hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, hint=hint) from None


def fitted(shape: type[Shape], value: object, path: Path, *, hint: str) -> Shape:
    """What was read from a file, as the shape that it must have.

    Raises:
        DataError: it has another one.
    """
    try:
        return TypeAdapter(shape).validate_python(value)
    except (ValidationError, RecursionError) as error:
        raise damaged(path, _first(error), hint=hint) from None


def damaged(path: Path, why: object, *, hint: str) -> DataError:
    """The error that a file of ours is damaged."""
    return DataError(f"{shown(path)} is damaged: {str(why)[:200]}.", hint=hint)


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _seal_of(held: Object) -> str:
    text = json.dumps(held, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
