"""Raw logs and prepared sets as they travel, and how a cluster's data folder takes them: whole and
as they were, or not at all."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from casas_ray import paths
from casas_ray.corpus.alignment import MANIFEST, PreparedSet
from casas_ray.corpus.bringing import refuse_simulated
from casas_ray.corpus.fetch import log_at_hand
from casas_ray.corpus.inventory import prepared_sets
from casas_ray.corpus.named_sets import find_set, set_named
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import new_folder, private_folder, sha256_of, shown, whole_file

Kind = Literal["log", "set"]

LOG_NAME = "data.txt"
"""What a home's log is called there; its hash, not its name, is part of a set's fingerprint."""


@dataclass(frozen=True)
class Item:
    """A home's log, or a prepared set."""

    kind: Kind
    name: str
    """The home's, or that of the set's folder."""

    files: Mapping[str, str]
    """SHA-256 by name."""

    @property
    def folder(self) -> Path:
        """Where it lies in a data folder."""
        drawer = paths.raw() if self.kind == "log" else paths.aligned()
        return drawer / paths.safe_name(self.name, what=self.kind)

    def as_dict(self) -> dict[str, object]:
        """As JSON can hold it."""
        return {"kind": self.kind, "name": self.name, "files": dict(self.files)}

    @classmethod
    def read(cls, held: Mapping[str, Any]) -> "Item":  # Any: what JSON holds
        """The item that JSON tells of.

        Raises:
            RefusedError: a name in it would leave its folder.
        """
        for name in held["files"]:
            paths.safe_name(name, what="file")
        return cls(held["kind"], held["name"], held["files"])


def items_of(name: str) -> list[tuple[Item, dict[str, Path]]]:
    """What `name` stands for, with where its files lie here: a home's log and the sets that were
    made of it, or one set.

    Raises:
        DataError: there is neither, or a set is damaged.
        RefusedError: the log was simulated.
    """
    if set_named([name]):
        return [_set_item(find_set(name))]
    log = log_at_hand(name)
    if log is None:
        raise DataError(
            f"no log of home '{name}' is at hand to be sent.",
            hint="`casas-ray homes` lists what is; a set goes by the name of its folder.",
        )
    refuse_simulated(log)
    item = Item("log", name, {LOG_NAME: sha256_of(log)})
    made = [each for each in prepared_sets() if _is_of(each, name)]
    return [(item, {LOG_NAME: log}), *map(_set_item, made)]


def _is_of(prepared: PreparedSet, home: str) -> bool:
    try:
        return list(prepared.manifest["homes"]) == [home] and not prepared.simulated
    except DataError:  # a damaged one; `casas-ray homes` tells of it
        return False


def _set_item(prepared: PreparedSet) -> tuple[Item, dict[str, Path]]:
    prepared.check()
    found = {
        path.name: path
        for path in sorted(prepared.folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    }
    hashes = {name: sha256_of(path) for name, path in found.items()}
    return Item("set", prepared.folder.name, hashes), found


def is_here(item: Item) -> bool:
    """Whether this data folder holds the item as it is."""
    if item.kind == "log":
        log = log_at_hand(item.name)
        return log is not None and sha256_of(log) in item.files.values()
    if not (item.folder / MANIFEST).is_file():
        return False
    try:
        PreparedSet(item.folder).check()
    except DataError:
        return False
    return sha256_of(item.folder / MANIFEST) == item.files[MANIFEST]


def put_down(item: Item, source: Path) -> None:
    """Take an item whose files lie in a folder; nothing that is here is written over.

    Raises:
        DataError: it is not as it was sent.
        RefusedError: another log of that home, or another set of that name, is here.
    """
    _refuse_altered(item, source)
    if is_here(item):
        return
    if item.kind == "log":
        _put_log(item, source)
        return
    if item.folder.exists():
        raise RefusedError(
            f"{shown(item.folder)} is there and is not the set that was sent.",
            hint="move it away on the cluster, and push again.",
        )
    with new_folder(item.folder) as draft:
        _copy(item.files, source, draft)
        PreparedSet(draft).check()


def _put_log(item: Item, source: Path) -> None:
    if there := log_at_hand(item.name):
        raise RefusedError(
            f"{shown(there)} is another log of '{item.name}'.",
            hint="move it away on the cluster, and push again.",
        )
    private_folder(item.folder)
    for name in item.files:
        with whole_file(item.folder / name) as draft:
            shutil.copyfile(source / name, draft)


def _refuse_altered(item: Item, source: Path) -> None:
    for name, wanted in item.files.items():
        path = source / name
        if not path.is_file() or sha256_of(path) != wanted:
            raise DataError(
                f"{name} of {item.kind} '{item.name}' did not come as it was sent.",
                hint="push once more; nothing was put down.",
            )


def _copy(names: Iterable[str], source: Path, target: Path) -> None:
    for name in names:
        shutil.copyfile(source / name, target / name)


def size_of(found: Sequence[Path]) -> int:
    """Bytes of files together."""
    return sum(path.stat().st_size for path in found)
