"""What was named to be used: a run, an export, or clusters of one of them or of a home."""

from pathlib import Path

from casas_ray.errors import DataError
from casas_ray.evals.cluster_names import several
from casas_ray.evals.exported import EXPORT, ExportedModel
from casas_ray.evals.telling import Teller
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.files import shown

_KEPT = "clusters.json"


def load(folder: Path) -> TrainedRun | ExportedModel:
    """The trained run or the export in a folder.

    Raises:
        DataError: it holds neither, or a file of it is damaged.
        RefusedError: another version of this package wrote it.
    """
    return ExportedModel.open(folder) if (folder / EXPORT).exists() else TrainedRun.open(folder)


def clusters_in(folder: Path) -> Path:
    """The folder of the clusters that are meant by it: itself, or the only ones of a run, of an
    export or of a home's set.

    Raises:
        DataError: there are none.
        SettingsError: there are several.
    """
    if (folder / _KEPT).is_file():
        return folder
    found = sorted(path.parent for path in folder.glob(f"clusters/*/{_KEPT}"))
    found += sorted(path.parent for path in folder.glob(f"*/{_KEPT}"))
    if not found:
        raise DataError(
            f"{shown(folder)} has no clusters.",
            hint="`casas-ray cluster` finds them, and says where they lie.",
        )
    if len(found) > 1:
        raise several(found)
    return found[0]


def teller(clusters: Path, *, home: str = "") -> Teller:
    """What tells the clusters in a folder of windows of new logs.

    Raises:
        DataError: they are damaged, or what made their vectors is gone or another.
        SettingsError: they read what comes after a window.
    """
    owner = clusters.parent.parent
    if (owner / EXPORT).exists():
        return ExportedModel.open(owner).teller(home=home)
    # Of a home, windows are grouped by what is made by hand, and no run lies above.
    run = TrainedRun.open(owner) if (owner / "checkpoints").is_dir() else None
    return Teller.open(clusters, home=home, model=run)
