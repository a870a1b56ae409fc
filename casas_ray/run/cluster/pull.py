"""A study's results, brought from a cluster's driver to this machine."""

import hashlib
import tarfile
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from casas_ray import paths
from casas_ray.errors import ClusterError, RefusedError
from casas_ray.files import private_folder, why
from casas_ray.records.taken_over import take_over
from casas_ray.run.cluster.answer import Answer
from casas_ray.run.cluster.dashboard import Dashboard, unreachable
from casas_ray.run.cluster.errand import waiting_at
from casas_ray.run.cluster.pack import Weights

_PIECE_BYTES = 4 << 20
_SILENCE_SECONDS = 60.0
_SERVER_SECONDS = 3600

Progress = Callable[[str, int, int], None]
"""What, how many bytes of it, and of how many."""


@dataclass(frozen=True)
class Pulled:
    """What has been brought."""

    folder: Path
    files: int
    bytes: int


def pull(dashboard: Dashboard, name: str, weights: Weights, progress: Progress) -> Pulled:
    """A study or a run of the cluster's data folder, brought under `data/runs`.

    Raises:
        DataError: the cluster has none of this name.
        RefusedError: what lies here of that name went on by itself, or is not ours.
        ClusterError: the cluster does not answer, or what came is not what was sent.
    """
    private_folder(paths.runs())
    with tempfile.TemporaryDirectory(prefix=".pulling-", dir=paths.runs()) as draft:
        archive = Path(draft) / "pulled.tar"
        with waiting_at(dashboard, ["pack", name, "--weights", weights]) as asked:
            _fetch(dashboard, asked.node, asked.answer, archive, progress)
        _unpack(archive, Path(draft) / "runs")
        archive.unlink()
        folder = _place(paths.runs(), str(asked.answer["folder"]))
        take_over(_place(Path(draft) / "runs", str(asked.answer["folder"])), folder)
    return Pulled(folder, int(asked.answer["files"]), int(asked.answer["bytes"]))


def _fetch(dashboard: Dashboard, node: str, sent: Answer, target: Path, progress: Progress) -> None:
    """The archive, through the service that shows the logs of nodes: it reads any bytes, and needs
    no port besides the dashboard's."""
    query = {"node_id": node, "filename": sent["archive"], "lines": "-1"}
    query["timeout"] = str(_SERVER_SECONDS)
    request = dashboard.download(f"api/v0/logs/file?{urllib.parse.urlencode(query)}")
    digest, total = hashlib.sha256(), int(sent["bytes"])
    try:
        with (
            urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as source,
            target.open("wb") as out,
        ):
            _copy(source, out, digest.update, lambda done: progress("bytes pulled", done, total))
    except OSError as error:
        raise unreachable(dashboard.address, why(error)) from None
    if digest.hexdigest() != sent["sha256"]:
        raise ClusterError(
            f"what came from {dashboard.address} is not what was sent: {target.stat().st_size:,} "
            f"of {total:,} bytes.",
            hint="pull once more; nothing here was changed.",
        )


def _copy(
    source: BinaryIO,
    out: BinaryIO,
    heard: Callable[[bytes], None],
    progress: Callable[[int], None],
) -> None:
    done = 0
    while piece := source.read(_PIECE_BYTES):
        out.write(piece)
        heard(piece)
        done += len(piece)
        progress(done)


def _unpack(archive: Path, target: Path) -> None:
    """The plain files of an archive, below the target whatever their names are."""
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member) if member.isreg() else None
            if content is None:
                raise RefusedError(f"the archive of the cluster holds {member.name!r}, no file.")
            path = _place(target, member.name)
            private_folder(path.parent)
            with path.open("wb") as out:
                _copy(content, out, lambda _: None, lambda _: None)  # type: ignore[arg-type]


def _place(root: Path, name: str) -> Path:
    """The path of a name below a folder.

    Raises:
        RefusedError: it would leave it.
    """
    parts = PurePosixPath(name).parts
    for part in parts:
        paths.safe_name(part, what="the cluster's file")
    return root.joinpath(*parts)
