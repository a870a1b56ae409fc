"""A copy of runs that outlives this disk: in a folder elsewhere, or in a bucket."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from casas_ray import paths
from casas_ray.errors import RefusedError, SettingsError, SetupError, first_line
from casas_ray.files import new_folder, private_folder, shown, write_whole
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import FILES, META, NAME
from casas_ray.records.ledger import LEDGER
from casas_ray.records.run_result import CHECKPOINTS, checkpoint_folder

_PIECE_BYTES = 4 << 20

FAULTS = (OSError, pa.ArrowException)
"""What pyarrow raises of a storage that does not do as it is asked."""


class Storage:
    """Where copies of runs lie, each under the name of its folder below `data/runs`.

    A copy is never ahead of the disk: what is sent twice is sent the same, so that whoever is
    killed, or finds the storage gone for a while, sends it once more.
    """

    def __init__(self, address: str) -> None:
        """Any folder, or an address as `s3://BUCKET/PATH`.

        Raises:
            SettingsError: it is no address of a storage.
        """
        self.address = address
        try:
            whole = address if "://" in address else str(Path(address).expanduser().absolute())
            self._files, self._root = fs.FileSystem.from_uri(whole)
        except (*FAULTS, ValueError, RuntimeError) as error:
            raise SettingsError(
                f"machine.storage={address} names no storage: {first_line(error)}.",
                hint="a folder that lasts, or s3://BUCKET/PATH or gs://BUCKET/PATH.",
            ) from None

    def require_writable(self) -> None:
        """Refuse a storage that takes no files, before anything is trained for it.

        Raises:
            SetupError: it is one.
        """
        probe = f"{self._root}/.casas-ray-{uuid.uuid4().hex}"
        try:
            self._write(probe, b"")
            self._files.delete_file(probe)
        except FAULTS as error:
            raise self.refusal(error) from None

    def refusal(self, error: BaseException) -> SetupError:
        """The error that the storage does not do as it was asked."""
        return SetupError(
            f"the storage {self.address} fails: {first_line(error)}",
            hint="what was trained stands on this disk; the same command sends it when it answers.",
        )

    def send(self, folder: Path) -> None:
        """Make the copy of a run's, or a study's, own files that of this disk."""
        there = self._place(folder)
        for step in checkpoints.steps(folder):
            # It may be pruned while it is being sent; then a newer one is.
            with contextlib.suppress(FileNotFoundError):
                self._send_checkpoint(checkpoint_folder(folder, step), there)
        # After the checkpoints that it tells of, and before those are deleted that it has left.
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                self._write(f"{there}/{path.name}", _content(path))
        kept = {checkpoint_folder(folder, step).name for step in checkpoints.steps(folder)}
        for name in self._names(f"{there}/{CHECKPOINTS}"):
            if NAME.fullmatch(name) and name not in kept:
                self._files.delete_dir(f"{there}/{CHECKPOINTS}/{name}")

    def bring(self, folder: Path) -> None:
        """Put onto this disk what the copy of a run, or of a study's own files, has besides.

        Raises:
            RefusedError: both went on by themselves.
        """
        there = self._place(folder)
        for name in self._names(there):
            if paths.is_safe_name(name) and name != CHECKPOINTS:
                self._bring_file(f"{there}/{name}", folder / name)
        for name in self._names(f"{there}/{CHECKPOINTS}"):
            if NAME.fullmatch(name) and not (folder / CHECKPOINTS / name).exists():
                self._bring_checkpoint(f"{there}/{CHECKPOINTS}/{name}", folder)

    def _send_checkpoint(self, local: Path, there: str) -> None:
        place = f"{there}/{CHECKPOINTS}/{local.name}"
        meta = (local / META).read_bytes()
        if self._read(f"{place}/{META}") == meta:  # which holds the hashes of the rest
            return
        for name in FILES:  # the one that says that all is there comes last
            with (local / name).open("rb") as source, self._written(f"{place}/{name}") as target:
                shutil.copyfileobj(source, target, _PIECE_BYTES)

    def _bring_checkpoint(self, place: str, run: Path) -> None:
        if META not in self._names(place):  # whoever sent it was killed meanwhile
            return
        with new_folder(run / CHECKPOINTS / PurePosixPath(place).name) as draft:
            for name in FILES:
                with (
                    self._files.open_input_stream(f"{place}/{name}") as source,
                    (draft / name).open("wb") as target,
                ):
                    shutil.copyfileobj(source, target, _PIECE_BYTES)

    def _bring_file(self, place: str, path: Path) -> None:
        content = self._read(place)
        if content is None or (path.exists() and path.name != LEDGER):
            return
        here = path.read_bytes() if path.exists() else b""
        if not (content.startswith(here) or here.startswith(content)):
            raise RefusedError(
                f"{shown(path)} and its copy in {self.address} went on each by itself.",
                hint="move one of them away: the other is gone on with.",
            )
        if len(content) > len(here):
            private_folder(path.parent)
            write_whole(path, content)

    def _place(self, folder: Path) -> str:
        below = folder.is_relative_to(paths.runs())
        return f"{self._root}/{folder.relative_to(paths.runs()) if below else folder.name}"

    def _names(self, place: str) -> list[str]:
        selector = fs.FileSelector(place, allow_not_found=True)
        return sorted(info.base_name for info in self._files.get_file_info(selector))

    def _read(self, place: str) -> bytes | None:
        if self._files.get_file_info(place).type != fs.FileType.File:
            return None
        with self._files.open_input_stream(place) as stream:
            return stream.read()

    def _write(self, place: str, content: bytes) -> None:
        with self._written(place) as stream:
            stream.write(content)

    @contextlib.contextmanager
    def _written(self, place: str) -> Iterator[pa.NativeFile]:
        """A stream whose file has its name once it is whole, as a bucket has it by itself."""
        if not isinstance(self._files, fs.LocalFileSystem):
            with self._files.open_output_stream(place) as stream:
                yield stream
            return
        private_folder(Path(place).parent)
        draft = f"{place}.{uuid.uuid4().hex}.draft"
        try:
            with self._files.open_output_stream(draft) as stream:
                yield stream
            Path(draft).replace(place)
        finally:
            Path(draft).unlink(missing_ok=True)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    # A row that is being written is no row yet.
    return content.rpartition(b"\n")[0] + b"\n" if path.name == LEDGER and content else content
