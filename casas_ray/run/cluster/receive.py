"""On the cluster: pieces of what is pushed, put together and put down."""

import json
import re
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from casas_ray import paths
from casas_ray.errors import DataError, RefusedError
from casas_ray.files import private_folder, sha256_of, shown
from casas_ray.run.cluster.answer import Answer
from casas_ray.run.cluster.goods import Item, is_here, put_down

PIECE = "piece"
"""The file that one errand brings, in its working folder."""

LIST = "goods.json"
"""The first member of the archive: what the others are."""

_TOKEN = re.compile(r"[0-9a-f]{32}")
_DRAFT = ".pushed-"
_FORGOTTEN_SECONDS = 86_400.0


def which_are_here(told: str) -> Answer:
    """The names of those items that this data folder holds already."""
    items = [Item.read(each) for each in json.loads(told)]
    return {"here": [item.name for item in items if is_here(item)]}


def take_piece(token: str, offset: int, sha256: str) -> Answer:
    """Add the piece in the working folder to what came before it; with the hash of the whole, put
    down what it holds.

    Raises:
        DataError: a piece is missing, or the whole is not what was sent.
        RefusedError: something else is in its place.
    """
    if not _TOKEN.fullmatch(token):
        raise RefusedError(f"'{token}' is no name of ours.")
    private_folder(paths.data_root())
    draft = paths.data_root() / f"{_DRAFT}{token}"
    _forget_old(draft.parent)
    _append(draft, offset)
    if not sha256:
        return {"bytes": draft.stat().st_size}
    try:
        if sha256_of(draft) != sha256:
            raise DataError("what came is not what was sent.", hint="push once more.")
        return {"put_down": _put_down(draft)}
    finally:
        draft.unlink()


def _append(draft: Path, offset: int) -> None:
    piece = Path(PIECE)
    with draft.open("ab") as out:
        if out.tell() != offset:
            raise DataError(f"the bytes before {offset:,} did not come.", hint="push once more.")
        out.write(piece.read_bytes())
    draft.chmod(0o600)
    # Ray keeps a job's working folder for a while, and a home's log is nobody else's business.
    piece.unlink()


def _forget_old(folder: Path) -> None:
    """Delete what pushes left that were given up."""
    for path in folder.glob(f"{_DRAFT}*"):
        if time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
            path.unlink(missing_ok=True)


def _put_down(archive: Path) -> Sequence[str]:
    with (
        TemporaryDirectory(prefix=_DRAFT, dir=archive.parent) as folder,
        tarfile.open(archive) as packed,
    ):
        items = [Item.read(each) for each in _listed(packed)]
        for member in packed:
            _unpack(packed, member, Path(folder))
        for item in items:
            put_down(item, Path(folder) / item.kind / item.name)
    return [shown(item.folder) for item in items]


def _listed(packed: tarfile.TarFile) -> Sequence[dict[str, object]]:
    first = packed.next()
    content = packed.extractfile(first) if first and first.name == LIST else None
    if content is None:
        raise DataError("what came does not say what it is.", hint="push once more.")
    return json.loads(content.read())


def _unpack(packed: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    content = packed.extractfile(member) if member.isreg() else None
    if content is None or member.name == LIST:
        return
    parts = PurePosixPath(member.name).parts
    for part in parts:
        paths.safe_name(part, what="file")
    target = folder.joinpath(*parts)
    private_folder(target.parent)
    with target.open("wb") as out:
        while piece := content.read(1 << 20):
            out.write(piece)
