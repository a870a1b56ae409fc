"""Which code, packages and kind of machine made a run, and a copy of the code."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from casas_ray.files import whole_file

_PACKAGES = ("casas-ray", "ray", "torch", "wandb", "transformers", "pyarrow", "numpy")
_DATA = "data/"
_LARGEST_FILE = 1 << 20
CODE = "code.zip"


def provenance() -> dict[str, object]:
    """The code's git commit and whether it was changed, versions of packages, kind of machine."""
    # It leaves for W&B with the run: no name of a host, a person or a folder may stand here.
    return {
        "git_commit": _git("rev-parse", "HEAD").strip(),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no").strip()),
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "host_kind": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    }


def snapshot(folder: Path) -> Path | None:
    """The path of `code.zip` in the folder; None outside a repository.

    It holds what git tracks of the working folder, never data, and `changes.diff` against its
    commit.
    """
    names = [name for name in _git("ls-files", "-z").split("\0") if name]
    if not names:
        return None
    target = folder / CODE
    if _is_whole(target):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            path = Path(name)
            # A link may point out of the repository, at data or at a key.
            wanted = not name.startswith(_DATA) and path.is_file() and not path.is_symlink()
            if wanted and path.stat().st_size <= _LARGEST_FILE:
                out.write(path, name)
        out.writestr("changes.diff", _git("diff", "HEAD", "--", ".", f":(exclude){_DATA}"))
    return target


def _is_whole(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as packed:
            return packed.testzip() is None
    # Whatever zlib and zipfile make of bytes that are no archive: it is made anew.
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def _git(*words: str) -> str:
    try:
        command = subprocess.run(["git", *words], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return command.stdout.decode(errors="replace") if command.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed beside Python {sys.version_info.major}.{sys.version_info.minor}"
