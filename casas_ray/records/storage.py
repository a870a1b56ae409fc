"""A copy of runs that outlives this disk: in a folder elsewhere, or in a bucket."""

import contextlib
import copy
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from casas_ray import paths
from casas_ray.errors import RefusedError, SettingsError, SetupError, first_line
from casas_ray.files import new_folder, private_folder, shown, write_whole
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import FILES, META, NAME
from casas_ray.records.ledger import LEDGER
from casas_ray.records.own_folder import STUDY_FILE
from casas_ray.records.run_result import CHECKPOINTS, RunResult, checkpoint_folder

_PIECE_BYTES = 4 << 20

Which = Literal["all", "best", "none"]
"""Of a run's checkpoints, those that are brought."""

FAULTS = (OSError, pa.ArrowException)
"""What pyarrow raises of a storage that does not do as it is asked."""


class Storage:
    """Where copies of runs lie, each under the name of its folder below `data/runs`.

    A copy is never ahead of the disk: what is sent twice is sent the same, so that whoever is
    killed, or finds the storage gone for a while, sends it once more.
    """

    def __init__(self, address: str, *, setting: str = "") -> None:
        """Any folder, or an address as `s3://BUCKET/PATH`; `setting` is what named it.

        Raises:
            SettingsError: it is no address of a storage.
        """
        self.address = address
        try:
            whole = address if "://" in address else str(Path(address).expanduser().absolute())
            self._files, self._root = fs.FileSystem.from_uri(whole)
        except (*FAULTS, ValueError, RuntimeError) as error:
            raise SettingsError(
                f"{setting}{address} names no storage: {first_line(error)}.",
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
            hint="what stands on this disk stands; the same command goes on when it answers.",
        )

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(self._root).name

    def at(self, *parts: str) -> "Storage":
        """What lies further down in it, or with `..` above."""
        other = copy.copy(self)
        place = PurePosixPath(self._root)
        for part in parts:
            place = place.parent if part == ".." else place / part
        other._root = str(place)
        return other

    def names(self) -> list[str]:
        """What lies in it."""
        return self._names(self._root)

    def content(self, name: str) -> bytes | None:
        """One of its files; None where it has none of that name."""
        return self._read(f"{self._root}/{name}")

    def put(self, name: str, content: bytes) -> None:
        """Write one of its files, whole or not at all."""
        self._write(f"{self._root}/{name}", content)

    def bring_into(self, folder: Path, checkpoints: Which) -> None:
        """Put into a folder what the run, or the study itself, that lies here has besides.

        Raises:
            RefusedError: both went on by themselves.
        """
        self._bring(self._root, folder, checkpoints)

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
        self._bring(self._place(folder), folder, "all")

    def _bring(self, there: str, folder: Path, which: Which) -> None:
        for name in self._names(there):
            if paths.is_safe_name(name) and name != CHECKPOINTS:
                self._bring_file(f"{there}/{name}", folder / name)
        # After the ledger, which says which is the best.
        best = RunResult.read(folder).best_step if which == "best" else None
        wanted = {checkpoint_folder(folder, best).name} if best is not None else set()
        for name in self._names(f"{there}/{CHECKPOINTS}") if which != "none" else ():
            is_wanted = NAME.fullmatch(name) and (which == "all" or name in wanted)
            if is_wanted and not (folder / CHECKPOINTS / name).exists():
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
        is_known = path.exists()
        if content is None or (is_known and path.name not in (LEDGER, STUDY_FILE)):
            return
        here = path.read_bytes() if is_known else b""
        further = _is_further if path.name == LEDGER else _has_more_trials
        if not is_known or further(content, here):
            private_folder(path.parent)
            write_whole(path, content)
        elif content != here and not further(here, content):
            raise RefusedError(
                f"{shown(path)} and its copy in {self.address} went on each by itself.",
                hint="move one of them away: the other is gone on with.",
            )

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


def _is_further(ledger: bytes, other: bytes) -> bool:
    return len(ledger) > len(other) and ledger.startswith(other)


def _has_more_trials(study: bytes, other: bytes) -> bool:
    """Whether a `study.json` has the trials of another, or that one is damaged."""
    trials, others = _trials(study), _trials(other)
    return trials is not None and (others is None or trials >= others)


def _trials(study: bytes) -> set[str] | None:
    try:
        return {json.dumps(trial) for trial in json.loads(study)["trials"]}
    except (ValueError, KeyError, TypeError):
        return None


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    # A row that is being written is no row yet.
    return content.rpartition(b"\n")[0] + b"\n" if path.name == LEDGER and content else content
