"""Which code, packages and kind of machine made a run, and a copy of the code."""

import importlib.metadata
import logging
import os
import platform
import sys
import zipfile
from pathlib import Path

from casas_ray.files import own_folder
from casas_ray.records.travel import git, not_keys, travellers

log = logging.getLogger(__name__)

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
    tracked = travellers(Path.cwd())
    if tracked is None or not tracked.free:
        return None
    target = folder / CODE
    if target.exists():
        return target
    own_folder(folder)
    if tracked.keys:
        log.warning("%s stays out of %s: it looks like a key.", tracked.keys[0], CODE)
    draft = target.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as out:
        for name in tracked.free:
            path = Path(name)
            wanted = not name.startswith(_DATA) and not path.is_symlink()
            if wanted and path.stat().st_size <= _LARGEST_FILE:
                out.write(path, name)
        out.writestr("changes.diff", _changes())
    draft.replace(target)
    return target


def _changes() -> str:
    """The difference from the commit, without data and without keys."""
    # Neither the checkout's own diff program nor its filters for showing files: both are run.
    words = ("diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".", f":(exclude){_DATA}")
    return _git(*words, *not_keys("exclude,glob"))


def _git(*words: str) -> str:
    return (git(*words) or "").encode(errors="surrogateescape").decode(errors="replace")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed beside Python {sys.version_info.major}.{sys.version_info.minor}"
