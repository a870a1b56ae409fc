"""Which code, packages and kind of machine made a run, and a copy of the code."""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from casas_ray.files import private_folder, whole_file
from casas_ray.paths import in_job_copy
from casas_ray.records.travel import git, not_keys, travellers

log = logging.getLogger(__name__)

_PACKAGES = ("casas-ray", "ray", "torch", "wandb", "transformers", "pyarrow", "numpy")
_DATA = "data/"
_LARGEST_FILE = 1 << 20
CODE = "code.zip"

UNKNOWN = "unknown"
"""What stands where nobody could tell; never an empty text, and never a guess."""

CODE_FILE = ".casas-ray-code.json"
"""In the copy of the code that a job works in, which has no repository: what was sent."""

Code = Mapping[str, str | bool]
"""`git_commit`, `git_dirty` and `git_changes`, each of them or UNKNOWN."""

UNKNOWN_CODE: Code = {"git_commit": UNKNOWN, "git_dirty": UNKNOWN, "git_changes": UNKNOWN}


def code_state() -> Code:
    """The git commit of the working folder, whether tracked files differ from it, and a hash of
    how, empty where they do not.

    To be asked where the command runs: a worker of Ray works in a folder that is no repository.
    """
    return sent_code(Path.cwd()) if in_job_copy() else _git_state()


def _git_state() -> Code:
    commit = _git("rev-parse", "--verify", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    changes = _git("diff", "--no-ext-diff", "--no-textconv", "HEAD")
    if commit is None or status is None or changes is None:
        return UNKNOWN_CODE
    digest = hashlib.sha256(changes.encode(errors="replace")).hexdigest()[:12]
    return {
        "git_commit": commit.strip(),
        "git_dirty": bool(status.strip()),
        "git_changes": digest if changes else "",
    }


def code_file() -> tuple[str, bytes]:
    """Name and content of a file that says what the working folder's code is, for a copy of it that
    a job will work in."""
    return CODE_FILE, json.dumps(code_state()).encode()


def sent_code(folder: Path) -> Code:
    """What a job's copy of the code says of it; unknown where it says nothing that can be read."""
    try:
        told = json.loads((folder / CODE_FILE).read_text(encoding="utf-8"))
        code = {name: told[name] for name in UNKNOWN_CODE}
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN_CODE
    return code if all(isinstance(value, (str, bool)) for value in code.values()) else UNKNOWN_CODE


def environment() -> dict[str, object]:
    """Versions of packages and the kind of machine of this very process."""
    # It leaves for W&B with the run: no name of a host, a person or a folder may stand here.
    return {
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "host_kind": host_kind(),
    }


def host_kind() -> str:
    """The kind of this machine: system, processor, number of CPUs."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def snapshot(folder: Path) -> Path | None:
    """The path of `code.zip` in the folder; None outside a repository.

    It holds what git tracks of the working folder, never data, and `changes.diff` against its
    commit.
    """
    tracked = travellers(Path.cwd())
    if tracked is None or not tracked.free:
        return None
    target = folder / CODE
    if _is_whole(target):
        return target
    private_folder(folder)
    if tracked.keys:
        log.warning("%s stays out of %s: it looks like a key.", tracked.keys[0], CODE)
    with whole_file(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as out:
        for name in tracked.free:
            path = Path(name)
            wanted = not name.startswith(_DATA) and not path.is_symlink()
            if wanted and path.stat().st_size <= _LARGEST_FILE:
                out.write(path, name)
        out.writestr("changes.diff", _changes())
    return target


def _is_whole(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as packed:
            return packed.testzip() is None
    # Whatever zlib and zipfile make of bytes that are no archive: it is made anew.
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def _changes() -> str:
    """The difference from the commit, without data and without keys."""
    # Neither the checkout's own diff program nor its filters for showing files: both are run.
    words = ("diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".", f":(exclude){_DATA}")
    return _git(*words, *not_keys("exclude,glob")) or ""


def _git(*words: str) -> str | None:
    """What git answers in the working folder; None where it cannot."""
    answer = git(*words)
    if answer is None:
        return None
    return answer.encode(errors="surrogateescape").decode(errors="replace")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed beside Python {sys.version_info.major}.{sys.version_info.minor}"
