"""A search on disk: what it draws from, and what it has drawn, written before each is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from casas_ray.errors import RefusedError
from casas_ray.files import shown
from casas_ray.sealed import fitted, read_sealed, write_sealed

SEARCH_FILE = "search.json"


class Drawn(BaseModel):
    """Values that were drawn together, and the arm that trains them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    arm: str
    values: dict[str, Any]  # Any: what a setting holds
    mean: float | None = None
    """What the searcher was told of it: the mean over seeds; None where a seed had no number."""

    is_told: bool = False


class SearchRecord(BaseModel):
    """A search; the ledgers of its arms say what came of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["optuna"]
    version: str
    """Of the searcher's package: another may draw otherwise."""

    ranges: dict[str, str]
    seed: int
    """Of the searcher; no axis of the study."""

    at_a_time: int
    """Drawn before the first of them has ended; it changes what is drawn next."""

    drawn: tuple[Drawn, ...] = ()

    def with_drawn(self, begun: int, batch: Sequence[Drawn]) -> "SearchRecord":
        """The record with a batch from an index on."""
        drawn = (*self.drawn[:begun], *batch, *self.drawn[begun + len(batch) :])
        return self.model_copy(update={"drawn": drawn})

    def write(self, folder: Path) -> None:
        """Keep it in the study's folder, whole or not at all."""
        write_sealed(folder / SEARCH_FILE, self.model_dump(mode="json"))


def taken_up(folder: Path, asked: SearchRecord) -> SearchRecord:
    """The search that lies in the study's folder, or the one that is asked for where none does.

    Raises:
        RefusedError: it draws otherwise.
        DataError: it is damaged.
    """
    path = folder / SEARCH_FILE
    if not path.exists():
        return asked
    hint = "--fresh begins another search in a folder of its own."
    held = fitted(SearchRecord, read_sealed(path, hint=hint), path, hint=hint)
    changed = _differences(held.model_dump(), asked.model_dump())
    if changed:
        raise RefusedError(f"{shown(folder)} holds another search: {changed}.", hint=hint)
    return held


def _differences(held: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    # As many at a time as it began with: what this machine has room for now changes nothing.
    names = [name for name in held if name not in ("drawn", "at_a_time", "ranges")]
    changed = [
        f"{name} was {held[name]}, is {asked[name]}" for name in names if held[name] != asked[name]
    ]
    before, after = held["ranges"], asked["ranges"]
    changed += [
        f"{path} was {before.get(path, 'not searched')}, is {after.get(path, 'not searched')}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    return ", ".join(changed)
