"""A study or a run brought whole from a storage, where no cluster need answer any more."""

from pathlib import Path

from casas_ray import paths
from casas_ray.errors import DataError
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE, own
from casas_ray.records.storage import FAULTS, Storage
from casas_ray.records.study_record import read_study


def pull(address: str, name: str) -> Path:
    """The folder below `data/runs` that now has all that a storage has of it.

    Raises:
        SettingsError: the address is of no storage.
        SetupError: the storage does not answer.
        DataError: it has no such folder.
        RefusedError: a run went on here and elsewhere, or the folder is not ours.
    """
    storage = Storage(address)
    folder = paths.runs() / paths.safe_name(name, what="the folder")
    was_there = folder.exists()
    own(folder)
    try:
        with locked(folder):
            storage.bring(folder)
            for run in _runs(folder):
                storage.bring(run)
    except FAULTS as error:
        raise storage.refusal(error) from None
    if not any((folder / each).is_file() for each in (STUDY_FILE, RUN_FILE)):
        if not was_there:
            _forget(folder)
        raise DataError(
            f"the storage {address} has no study or run '{name}'.",
            hint="give the name of its folder, as `casas-ray tune` named it at its end.",
        )
    return folder


def _runs(folder: Path) -> list[Path]:
    if not (folder / STUDY_FILE).is_file():
        return []
    return [folder / name for _, _, name in read_study(folder).trials]


def _forget(folder: Path) -> None:
    """Take away a folder that was made for nothing."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
