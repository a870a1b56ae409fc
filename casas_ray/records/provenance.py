"""Which code, packages and kind of machine made a run; the code itself beside it."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

_PACKAGES = ("casas-ray", "ray", "torch", "wandb", "transformers", "pyarrow", "numpy")
_DATA = "data/"
_LARGEST_FILE = 1 << 20
CODE = "code.zip"


def provenance() -> dict[str, Any]:
    """The git commit of the working folder and whether it was changed, versions of packages, and
    the kind of machine: no name of a host, a person or a folder."""
    return {
        "git_commit": _git("rev-parse", "HEAD").strip(),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no").strip()),
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "host_kind": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    }


def snapshot(folder: Path) -> Path | None:
    """`code.zip` in the folder: what git tracks of the working folder, and `changes.diff` against
    the commit. Never data, never what git does not track. None outside a repository."""
    names = [name for name in _git("ls-files", "-z").split("\0") if name]
    if not names:
        return None
    target = folder / CODE
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            path = Path(name)
            wanted = not name.startswith(_DATA) and path.is_file() and not path.is_symlink()
            if wanted and path.stat().st_size <= _LARGEST_FILE:
                out.write(path, name)
        out.writestr("changes.diff", _git("diff", "HEAD", "--", ".", f":(exclude){_DATA}"))
    draft.replace(target)
    return target


def _git(*words: str) -> str:
    try:
        ended = subprocess.run(["git", *words], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.decode(errors="replace") if ended.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed beside Python {sys.version_info.major}.{sys.version_info.minor}"
