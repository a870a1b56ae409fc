"""What travels with a job: the files of a checkout that git tracks, as one archive."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casas_ray import paths
from casas_ray.errors import RefusedError
from casas_ray.records.provenance import code_file
from casas_ray.records.travel import git, travellers

LARGEST_BYTES = 50 * 10**6
"""Code is small: what is larger is data that git tracks by mistake."""

_NEVER = (paths.raw, paths.aligned, paths.text_cache, paths.runs)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_IGNORED = ".rayignore"


@dataclass(frozen=True)
class Parcel:
    """The files that a job's copy of the code will hold."""

    source: Path
    files: dict[str, int]
    """Bytes by name, as they lie in the source now."""

    code: tuple[str, bytes]
    """The name and content of the file that says which commit this is: the copy is no repository
    that could be asked."""

    untracked: tuple[str, ...]
    """Names of files that git does not track, and that stay here."""

    kept_back: tuple[str, ...]
    """Names of files that git tracks and that stay all the same: data, and what .rayignore has."""

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(self.files.values()) + len(self.code[1])

    def names(self) -> dict[str, int]:
        """Bytes by name of everything that is sent."""
        return {**self.files, self.code[0]: len(self.code[1])}

    def pack(self, target: Path) -> Path:
        """Write the archive that is sent; the same files give the same bytes."""
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
            for name in self.files:
                path = self.source / name
                _add(out, name, path.read_bytes(), path.stat().st_mode)
            _add(out, *self.code, mode=0o644)
        return target


def _add(out: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    # Of no date: a cluster knows the archive by its hash, and keeps what it has.
    about = zipfile.ZipInfo(name, date_time=_EPOCH)
    about.external_attr = mode << 16
    about.compress_type = zipfile.ZIP_DEFLATED
    out.writestr(about, content)


def parcel_of(source: Path) -> Parcel:
    """What would travel of a checkout as it is now.

    Raises:
        RefusedError: the folder is in no git repository, so nobody can say what may travel; git
            tracks a key, or a link to what it does not track; or it is over 50 MB.
    """
    # Tracked ones only: data, keys and whatever else lies about a checkout must not travel.
    found = travellers(source)
    if found is None:
        raise RefusedError(
            f"{source} is not in a git repository, so nothing says what may travel.",
            hint="run submit from your checkout; only files that git tracks are sent.",
        )
    if found.keys:
        raise RefusedError(
            f"git tracks what looks like keys: {', '.join(found.keys)}.",
            hint="a job's files are on every node: keys belong there already. `git rm --cached` "
            "takes a file out of what git tracks, and leaves it on the disk.",
        )
    if found.links_out:
        raise RefusedError(
            f"git tracks links to files that it does not track: {', '.join(found.links_out)}.",
            hint="what they lead to would be sent; track the files themselves, or no link.",
        )
    stays = _ignored(source)
    kept_back = [name for name in found.free if name in stays or _is_data(source, name)]
    free = [name for name in found.free if name not in set(kept_back)]
    sizes = {name: (source / name).stat().st_size for name in free}
    parcel = Parcel(source, sizes, code_file(), _untracked(source), tuple(kept_back))
    _refuse_large(parcel)
    return parcel


def _refuse_large(parcel: Parcel) -> None:
    if parcel.bytes <= LARGEST_BYTES:
        return
    largest = sorted(parcel.files, key=parcel.files.__getitem__, reverse=True)[:3]
    named = ", ".join(f"{name} ({parcel.files[name] / 1e6:.0f} MB)" for name in largest)
    raise RefusedError(
        f"git tracks {parcel.bytes / 1e6:,.0f} MB here; at most {LARGEST_BYTES / 1e6:.0f} MB "
        f"travel with a job. The largest: {named}.",
        hint=f"name them in {_IGNORED}; logs and prepared sets go by `casas-ray push`.",
    )


def _is_data(source: Path, name: str) -> bool:
    # Below the data folder, and below the usual one where another is named.
    drawers = [drawer() for drawer in _NEVER]
    drawers += [source / "data" / drawer.name for drawer in drawers]
    return any((source / name).is_relative_to(drawer) for drawer in drawers)


def _ignored(source: Path) -> set[str]:
    """The tracked files that the checkout's .rayignore has, which is written as .gitignore is."""
    if not (source / _IGNORED).is_file():
        return set()
    rules = f"--exclude-from={_IGNORED}"
    return set(_names(git("ls-files", "-z", "--cached", "--ignored", rules, folder=source)))


def _untracked(source: Path) -> tuple[str, ...]:
    listed = git("ls-files", "-z", "--others", "--exclude-standard", folder=source)
    return tuple(_names(listed))


def _names(listed: str | None) -> Sequence[str]:
    return (listed or "").split("\0")[:-1]
