"""A clustering that was kept, opened again, and the names that a person gives its clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from casas_ray.errors import DataError
from casas_ray.evals.assignments import ABOUT, AGAIN, EVENTS, WINDOWS, Assigned, digest_of, looks_in
from casas_ray.evals.cluster_names import Names, several
from casas_ray.evals.evaluation import Json
from casas_ray.files import mended_folder, shown, why
from casas_ray.sealed import damaged, read_sealed


@dataclass(frozen=True)
class KeptClusters:
    """The folder of a clustering."""

    folder: Path
    about: Json
    clustering: str
    """The hash of which window is in which cluster."""

    @classmethod
    def open(cls, folder: Path) -> "KeptClusters":
        """The clustering in a folder.

        Raises:
            DataError: there is none, or a file of it is damaged.
        """
        about = read_sealed(folder / ABOUT, hint=AGAIN)
        windows = _table(folder / WINDOWS)
        try:
            cluster_N = windows.column("cluster").to_numpy().astype(np.int64)
            clustering = digest_of(windows.column("id").to_pylist(), cluster_N)
            _ = [row["cluster"] for row in about["clusters"]]
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(folder / WINDOWS, error, hint=AGAIN) from None
        return cls(folder, about, clustering)

    @property
    def clusters(self) -> list[int]:
        """The numbers of its clusters."""
        return sorted(row["cluster"] for row in self.about["clusters"])

    def assigned(self) -> Assigned:
        """The clustering as the command that made it shows it.

        Raises:
            DataError: the file of its names is damaged.
        """
        names = Names.of(self.folder, self.clustering)
        return Assigned(self.folder, self.about, looks_in(self.folder.parent), names)

    def name(self, words: Sequence[str]) -> Assigned:
        """Give clusters names, by words such as `3=Cook`; `3=` takes one away.

        They are kept beside the folder, and written into its tables.

        Raises:
            DataError: a file is damaged.
            SettingsError: a word is no such, names no cluster, or names one twice.
        """
        before = self.assigned()
        names = before.names.changed(words, self.clusters)
        tables = {
            name: names.beside(_table(self.folder / name))
            for name in (WINDOWS, EVENTS)
            if (self.folder / name).exists()
        }
        # First the names: the tables are made of them again, whatever ends this in between.
        names.write(self.folder, self.clustering)
        with mended_folder(self.folder) as draft:
            for name, table in tables.items():
                pq.write_table(table, draft / name)
        return Assigned(self.folder, self.about, before.looks, names)


def kept_in(place: Path) -> KeptClusters:
    """The clustering in a folder, or the only one below it.

    Raises:
        DataError: there is none, or it is damaged.
        SettingsError: there are several.
    """
    if (place / ABOUT).is_file():
        return KeptClusters.open(place)
    found = sorted(path.parent for path in place.glob(f"*/{ABOUT}"))
    if not found:
        raise DataError(
            f"no clusters are kept in {shown(place)}.", hint="`casas-ray cluster` finds them."
        )
    if len(found) > 1:
        raise several(found)
    return KeptClusters.open(found[0])


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise damaged(path, why(error), hint=AGAIN) from None
