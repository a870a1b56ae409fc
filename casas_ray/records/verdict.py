"""What a trained run earned on held-out days, beside what is cheaper.

`test.json` in the run's folder keeps the verdict of the test days.
"""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from casas_ray.files import shown
from casas_ray.sealed import fitted, read_sealed, write_sealed

VERDICT_FILE = "test.json"
EVALUATION_FILE = "evaluation.json"
"""Beside the verdict: every contender's row, of the same look."""
_INTERVAL = "trained less sensor counts"


@dataclass(frozen=True)
class Verdict:
    """Metrics of one checkpoint on held-out days, a column a model or baseline."""

    step: int
    """The checkpoint's."""

    caveats: tuple[str, ...]
    columns: Mapping[str, Mapping[str, float]]
    """By `trained`, `untrained`, `sensor counts`, `majority`: metrics by name."""

    interval: tuple[float, float] | None = None
    """95 % interval, over days drawn again, of the probe's macro F1: trained less sensor counts.
    None where all windows are of one day."""

    looked_at: str = ""
    """When the days were looked at, in UTC; empty for verdicts from before this was kept."""

    looked_by: str = ""
    """The name of the account that did; it stays in this file."""

    def as_dict(self) -> dict[str, Any]:  # Any: what JSON holds
        """The verdict as JSON can hold it."""
        ends = {_INTERVAL: list(self.interval)} if self.interval else {}
        look = {"looked_at": self.looked_at, "looked_by": self.looked_by}
        known = {name: text for name, text in look.items() if text}
        return {"step": self.step, "caveats": list(self.caveats), **known, **self.columns, **ends}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "Verdict":  # Any: what JSON holds
        """The verdict that `as_dict` turned into JSON."""
        # Columns stand beside the other keys, as in every test.json that is out in the world.
        columns = {name: value for name, value in held.items() if isinstance(value, dict)}
        ends = held.get(_INTERVAL)
        interval = (ends[0], ends[1]) if ends else None
        look = held.get("looked_at", ""), held.get("looked_by", "")
        return cls(held["step"], tuple(held["caveats"]), columns, interval, *look)


class _Shape(BaseModel):
    """What must stand in a `test.json`; every other object in it is a column."""

    step: int
    caveats: list[str]
    trained: dict[str, float]


def recorded_verdict(run: Path) -> Verdict | None:
    """The verdict that a run was given before, or None.

    Raises:
        DataError: it is torn, or was changed after it was written.
    """
    path = run / VERDICT_FILE
    if not path.exists():
        return None
    # Not judged again by itself: whoever damages a verdict that he dislikes would get another look.
    hint = f"restore it; or delete {shown(path)} and say where you report it that you looked again."
    held = read_sealed(path, hint=hint)
    read = fitted(_Shape, held, path, hint=hint).model_dump()
    columns = {name: value for name, value in held.items() if isinstance(value, dict)}
    read |= fitted(dict[str, dict[str, float]], columns, path, hint=hint)
    if _INTERVAL in held:
        read[_INTERVAL] = fitted(tuple[float, float], held[_INTERVAL], path, hint=hint)
    return Verdict.from_dict(held | read)


def record_verdict(run: Path, verdict: Verdict) -> Verdict:
    """The verdict of a run's test days with who looked and when; kept, whole or not at all."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    signed = replace(verdict, looked_at=now, looked_by=_account())
    write_sealed(run / VERDICT_FILE, signed.as_dict())
    return signed


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return ""
