"""A home's log and its prepared sets, sent to a cluster's data folder."""

import io
import json
import secrets
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casas_ray.files import sha256_of
from casas_ray.run.cluster.dashboard import Dashboard
from casas_ray.run.cluster.errand import ask
from casas_ray.run.cluster.goods import Item
from casas_ray.run.cluster.pull import Progress
from casas_ray.run.cluster.receive import LIST, PIECE

PIECE_BYTES = 64 << 20
"""A job's archive is held in the memory of the head's control service meanwhile."""

Goods = Sequence[tuple[Item, dict[str, Path]]]


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    sent: tuple[str, ...]
    there: tuple[str, ...]
    """Those that were there already."""

    bytes: int


def push(dashboard: Dashboard, goods: Goods, progress: Progress) -> Pushed:
    """Bring items into the cluster's data folder; those that it holds already are not sent.

    Raises:
        RefusedError: another log of the home, or another set of the name, lies there.
        ClusterError: the cluster does not answer.
        DataError: what came there is not what was sent.
    """
    listed = json.dumps([item.as_dict() for item, _ in goods])
    there = set(ask(dashboard, ["holds", listed])["here"])
    missing = [(item, found) for item, found in goods if item.name not in there]
    sent = 0
    if missing:
        with tempfile.TemporaryDirectory(prefix="casas-ray-push-") as folder:
            archive = _packed(missing, Path(folder) / "goods.tar")
            sent = archive.stat().st_size
            _send(dashboard, archive, progress)
    names = tuple(item.name for item, _ in missing)
    return Pushed(names, tuple(item.name for item, _ in goods if item.name in there), sent)


def _packed(goods: Goods, target: Path) -> Path:
    listed = json.dumps([item.as_dict() for item, _ in goods]).encode()
    with tarfile.open(target, "w") as out:
        about = tarfile.TarInfo(LIST)
        about.size = len(listed)
        out.addfile(about, io.BytesIO(listed))
        for item, found in goods:
            for name, path in found.items():
                with path.open("rb") as source:
                    about = tarfile.TarInfo(f"{item.kind}/{item.name}/{name}")
                    about.size = path.stat().st_size
                    out.addfile(about, source)
    return target


def _send(dashboard: Dashboard, archive: Path, progress: Progress) -> None:
    token, size = secrets.token_hex(16), archive.stat().st_size
    with archive.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            offset, done = source.tell() - len(piece), source.tell()
            # Only the last piece has the hash of the whole: with it, all is put down.
            whole = sha256_of(archive) if done == size else ""
            zipped = _zipped(piece, token, archive.with_name("piece.zip"))
            words = ["receive", token, str(offset), f"--sha256={whole}"]
            ask(dashboard, words, archive=zipped)
            progress("bytes pushed", done, size)


def _zipped(piece: bytes, token: str, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(PIECE, piece)
        # Never the archive of an earlier push: its piece is deleted where that was unpacked.
        out.writestr("token", token)
    return target
