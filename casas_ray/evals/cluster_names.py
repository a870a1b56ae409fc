"""What a person calls clusters: checked, kept beside the clusters' folder, never in a run's record.

A name belongs to one clustering: made anew from other windows, its clusters are other ones, and the
names that were given before are not theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel

from casas_ray.errors import SettingsError
from casas_ray.files import private_folder, shown
from casas_ray.names import plain
from casas_ray.sealed import fitted, read_sealed, write_sealed

_LONGEST = 60
"""Letters of a name: it has to fit a table."""


class _Held(BaseModel):
    clustering: str
    names: dict[int, str]


@dataclass(frozen=True)
class Names:
    """The names of a clustering's clusters."""

    by_cluster: Mapping[int, str] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()
    """Names that were given when the clusters were other ones."""

    @classmethod
    def of(cls, folder: Path, clustering: str) -> "Names":
        """The names given to the clusters kept in a folder, whose hash is given.

        Raises:
            DataError: their file is damaged.
        """
        path = file_of(folder)
        if not path.is_file():
            return cls()
        hint = "delete it, and give the names again."
        held = fitted(_Held, read_sealed(path, hint=hint), path, hint=hint)
        if held.clustering == clustering:
            return cls(held.names)
        return cls(set_aside=tuple(held.names.values()))

    def beside(self, table: pa.Table) -> pa.Table:
        """The table with a column `name` beside its column `cluster`; empty where nobody named
        one."""
        clusters = table.column("cluster").to_pylist()
        names = pa.array([self.by_cluster.get(each, "") for each in clusters], pa.string())
        if "name" in table.column_names:
            return table.set_column(table.column_names.index("name"), "name", names)
        return table.append_column("name", names)

    def changed(self, words: Sequence[str], clusters: Sequence[int]) -> "Names":
        """The names after words such as `3=Cook`; `3=` takes a name away.

        Raises:
            SettingsError: a word is no such, names no cluster, or names one twice.
        """
        given: dict[int, str] = {}
        for word in words:
            cluster, name = _parsed(word, clusters)
            if cluster in given:
                raise SettingsError(
                    f"cluster {cluster} is named twice: '{given[cluster]}' and '{name}'.",
                    hint="name it once.",
                )
            given[cluster] = name
        every = {**self.by_cluster, **given}
        held = {cluster: name for cluster, name in sorted(every.items()) if name}
        return Names(held, self.set_aside)

    def write(self, folder: Path, clustering: str) -> Path:
        """Keep them beside the clusters' folder."""
        path = file_of(folder)
        private_folder(path.parent)
        held = {str(cluster): name for cluster, name in self.by_cluster.items()}
        write_sealed(path, {"clustering": clustering, "names": held})
        return path


def file_of(folder: Path) -> Path:
    """Where the names of the clusters kept in a folder lie."""
    return folder.with_name(f"{folder.name}.names.json")


def _parsed(word: str, clusters: Sequence[int]) -> tuple[int, str]:
    number, equals, name = word.partition("=")
    if not equals or not number.strip().isdecimal():
        raise SettingsError(
            f"'{word}' names no cluster.", hint="write CLUSTER=NAME, such as 3=Cook."
        )
    cluster, name = int(number), " ".join(name.split())
    if cluster not in clusters:
        raise SettingsError(
            f"there is no cluster {cluster}.",
            hint=f"they are {_ranges(clusters)}.",
        )
    if len(name) > _LONGEST or plain(name) != name:
        raise SettingsError(
            f"cluster {cluster}: '{name[:_LONGEST]}' cannot be a name.",
            hint=f"wanted letters that a screen can show, {_LONGEST} at most.",
        )
    return cluster, name


def _ranges(clusters: Sequence[int]) -> str:
    ordered = sorted(clusters)
    whole = ordered == list(range(ordered[0], ordered[-1] + 1))
    return f"{ordered[0]} to {ordered[-1]}" if whole else ", ".join(map(str, ordered))


def several(found: Sequence[Path]) -> SettingsError:
    """The error that one of several clusterings must be named."""
    names = ", ".join(folder.name for folder in found)
    return SettingsError(
        f"{len(found)} clusterings are kept in {shown(found[0].parent)}: {names}.",
        hint=f"name one by its folder, such as {shown(found[0])}",
    )
