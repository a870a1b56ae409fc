"""On the cluster: a study or a run, put into one archive where the dashboard's log service can
read it, until it was fetched."""

import contextlib
import os
import secrets
import shutil
import signal
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from casas_ray import paths
from casas_ray.errors import DataError, SetupError, did_you_mean
from casas_ray.files import sha256_of, shown
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import FILES
from casas_ray.records.own_folder import RUN_FILE, STUDY_FILE
from casas_ray.records.run_result import CHECKPOINTS, RunResult, checkpoint_folder
from casas_ray.records.study_record import read_study
from casas_ray.run.cluster.answer import Answer

Weights = Literal["best", "all", "none"]

_PREFIX = "casas-ray-packed-"
_SPARE_BYTES = 100 << 20


def find(name: str) -> Path:
    """The folder of a study or of a run of this data folder: of its own name, or the newest of the
    study's name.

    Raises:
        DataError: there is none.
    """
    known = _known()
    if name in known:
        return known[name]
    of_study = [path for path in known.values() if _study_of(path) == name]
    if of_study:
        return max(of_study, key=lambda path: (path / STUDY_FILE).stat().st_mtime)
    hint = did_you_mean(name, known) if known else "nothing was trained there yet."
    raise DataError(f"no study or run '{name}' lies in {shown(paths.runs())}.", hint=hint)


def _known() -> dict[str, Path]:
    """Studies, runs of no study, and trials of studies as STUDY/TRIAL."""
    found = [*paths.runs().glob(f"*/{STUDY_FILE}"), *paths.runs().glob(f"*/{RUN_FILE}")]
    found += paths.runs().glob(f"*/*/{RUN_FILE}")
    return {str(path.parent.relative_to(paths.runs())): path.parent for path in found}


def _study_of(folder: Path) -> str:
    if not (folder / STUDY_FILE).is_file():
        return ""
    try:
        return read_study(folder).study
    except DataError:
        return ""


def files_of(folder: Path, weights: Weights) -> Iterator[tuple[str, Path]]:
    """The files of a study or a run by their names below `data/runs`: its records, and of the
    checkpoints those that are asked for."""
    runs = [folder]
    if (folder / STUDY_FILE).is_file():
        runs += [folder / name for _, _, name in read_study(folder).trials]
    for run in runs:
        for path in sorted(run.iterdir()) if run.is_dir() else []:
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield _below(path), path
        for step in _steps(run, weights):
            for name in FILES:
                path = checkpoint_folder(run, step) / name
                yield _below(path), path


def _steps(run: Path, weights: Weights) -> list[int]:
    if weights == "none" or not (run / CHECKPOINTS).is_dir():
        return []
    steps = checkpoints.steps(run)
    if weights == "all":
        return steps
    best = RunResult.read(run).best_step
    return [step for step in steps if step == best]


def _below(path: Path) -> str:
    return str(path.relative_to(paths.runs()))


@contextmanager
def packed(folder: Path, weights: Weights, place: Path) -> Iterator[Answer]:
    """What a client needs to fetch the archive of a folder, which is there within the block."""
    target = place / f"{_PREFIX}{secrets.token_hex(16)}.tar"
    try:
        size = _write(target, files_of(folder, weights))
        yield {
            "archive": target.name,
            "bytes": target.stat().st_size,
            "sha256": sha256_of(target),
            "folder": _below(folder),
            "files": size,
        }
    finally:
        target.unlink(missing_ok=True)


def _write(target: Path, files: Iterable[tuple[str, Path]]) -> int:
    found = list(files)
    _refuse_full(target.parent, [path for _, path in found])
    # Of this mode from its first moment: the folder of Ray's logs is open to everybody.
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = 0
    with os.fdopen(handle, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as out:
        for name, path in found:
            # A study at work prunes checkpoints, and its ledgers grow: each is taken as it is now.
            with contextlib.suppress(FileNotFoundError), path.open("rb") as source:
                about = tarfile.TarInfo(name)
                about.size = os.fstat(source.fileno()).st_size
                out.addfile(about, source)
                count += 1
    return count


def _refuse_full(place: Path, files: Iterable[Path]) -> None:
    wanted = sum(path.stat().st_size for path in files if path.exists())
    free = shutil.disk_usage(place).free
    if wanted + _SPARE_BYTES > free:
        raise SetupError(
            f"{wanted / 1e6:,.0f} MB have to be put together in {place}, where "
            f"{free / 1e6:,.0f} MB are free.",
            hint="--weights none pulls the records alone; or name a machine.storage.",
        )


def place_of_logs() -> Path:
    """The folder of Ray's logs on this node, which the dashboard reads from.

    Raises:
        SetupError: this process is no Ray job.
    """
    # A job's standard output is a file there, and nothing else tells a job where it is.
    output = Path("/proc/self/fd/1")
    target = output.resolve() if output.exists() else Path()
    if not target.is_file():
        raise SetupError("this is no Ray job.", hint="`casas-ray pull` starts one.")
    return target.parent


def until_told(seconds: float) -> None:
    """Wait until this process is told to end, or for so long."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    told.wait(seconds)
