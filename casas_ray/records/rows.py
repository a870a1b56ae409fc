"""The kinds of rows that a ledger has, and which lines are one."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Row = dict[str, Any]  # Any: what JSON holds
"""One event of a run: `event`, `step`, `time`, and what else its kind of event tells."""

VERSION = 1
"""Of ledgers; a start row says it. Raised when a reader of today would misunderstand a row."""

Status = Literal["running", "finished", "diverged", "failed", "stopped"]
Number = float | Literal["nan", "inf", "-inf"]


class _Part(BaseModel):
    # Strict, since readers take the row as it stands in the file and not as it was understood.
    model_config = ConfigDict(strict=True, extra="allow")


class _Row(_Part):
    step: Annotated[int, Field(ge=0, le=10**12)]
    time: float = 0.0


class _Info(_Part):
    recipe: dict[str, Any] = {}
    total_steps: int = 0
    fingerprint: str = ""
    galleries: dict[str, str] = {}
    device: str = ""
    python: str = ""
    packages: dict[str, str] = {}
    git_commit: str = ""
    git_dirty: bool | str = ""
    git_changes: str = ""


class _Start(_Row):
    event: Literal["start"]
    info: _Info


class _Metrics(_Row):
    event: Literal["metrics"]
    metrics: dict[str, Number]


class _Checkpoint(_Row):
    event: Literal["checkpoint"]
    is_best: bool = False


class _Model(_Row):
    event: Literal["model"]
    which: str
    about: dict[str, Any]


class _Histogram(_Part):
    low: float
    high: float
    counts: Annotated[list[float], Field(min_length=1)]


class _Histograms(_Row):
    event: Literal["histograms"]
    histograms: dict[str, _Histogram]


class _Module(_Part):
    name: str
    kind: str
    parameters: dict[str, list[int]]
    output: Any  # Any: a shape, or nothing


class _Graph(_Row):
    event: Literal["graph"]
    modules: list[_Module]


class _End(_Row):
    event: Literal["end"]
    status: Status
    error: str = ""


_ROW = TypeAdapter(
    Annotated[
        _Start | _Metrics | _Checkpoint | _Model | _Histograms | _Graph | _End,
        Field(discriminator="event"),
    ]
)


def row_of(line: bytes) -> Row | None:
    """The row that a line is; None for one that is torn, or no row that this version knows."""
    try:
        row = json.loads(line)
        _ROW.validate_python(row)
        # Names and reasons are shown later: half of a pair of surrogates cannot be.
        json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, OverflowError, RecursionError, ValidationError):
        return None
    return row


def is_newer(line: bytes) -> bool:
    """Whether a line says that a newer version of this package wrote the ledger."""
    if b'"version"' not in line:
        return False
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    version = row.get("version") if isinstance(row, dict) else None
    return isinstance(version, int) and version > VERSION
