"""What it takes to train a run once more, exactly: its commit, changes, packages and command."""

import hashlib
import importlib.metadata
import json
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from casas_ray.config import Recipe, differences
from casas_ray.errors import DataError, RefusedError, SetupError
from casas_ray.files import shown
from casas_ray.records.own_folder import hint_for_run
from casas_ray.records.provenance import CODE, UNKNOWN
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.travel import git

_CHANGES = "changes.diff"
_BASE = "milan_baseline"
"""The starting point whose values are the defaults: what differs from it is all there is to say."""


@dataclass(frozen=True)
class Rerun:
    """How a run came about, and what of that is not to be had here."""

    run: Path
    commit: str
    diff: str
    """The changes to the commit, as git applies them; empty where there were none."""

    packages: Mapping[str, str]
    python: str
    words: tuple[str, ...]
    """Of `casas-ray`, but for the folder."""

    missing: tuple[str, ...]
    """What keeps it from being trained exactly so, here and now."""

    def commands(self, to: str) -> list[str]:
        """What a shell does, for a reader."""
        tree = [f"git worktree add --detach {to} {self.commit}"]
        if self.diff:
            tree.append(f"unzip -p {shown(_code_of(self.run))} {_CHANGES} | git -C {to} apply")
        pins = " ".join(f"{name}=={each}" for name, each in self.packages.items())
        return [*tree, f"# Python {self.python}: {pins}"]


def rerun_of(folder: Path) -> Rerun:
    """How the run in a folder came about.

    Raises:
        DataError: it holds no run, or one that never started.
    """
    record, info = RunRecord.read(folder), RunResult.read(folder).info
    if not info:
        problem = f"{shown(folder)} was never started: nothing tells what would train it."
        raise DataError(problem, hint=hint_for_run(folder))
    commit, changes = str(info.get("git_commit", UNKNOWN)), str(info.get("git_changes", UNKNOWN))
    packages = {str(name): str(each) for name, each in dict(info.get("packages", {})).items()}
    diff = _kept_diff(folder) if changes not in ("", UNKNOWN) else ""
    return Rerun(
        folder,
        commit,
        diff or "",
        {name: each for name, each in packages.items() if _is_version(each)},
        str(info.get("python", UNKNOWN)),
        _words(record),
        (*_code_missing(commit, changes, diff), *_packages_missing(packages, info)),
    )


def _words(record: RunRecord) -> tuple[str, ...]:
    changed = differences(Recipe(name=_BASE), record.recipe)
    settings = [f"{path}={_word(value)}" for path, value in changed.items()]
    rows = f"tracking.log_every={record.tracking.log_every}"
    return ("train", _BASE, *settings, rows)


def _word(value: object) -> str:
    """As the command line reads it back."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value)


def _code_of(folder: Path) -> Path:
    """Where the run's code was kept: with a study's trials, once for all of them."""
    own = folder / CODE
    return own if own.exists() else folder.parent / CODE


def _kept_diff(folder: Path) -> str | None:
    try:
        with zipfile.ZipFile(_code_of(folder)) as kept:
            return kept.read(_CHANGES).decode(errors="replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def _code_missing(commit: str, changes: str, diff: str | None) -> list[str]:
    if UNKNOWN in (commit, changes):
        return ["its commit: it was trained outside a repository"]
    missing = []
    if git("cat-file", "-e", f"{commit}^{{commit}}") is None:
        missing.append(f"commit {commit[:12]} in the repository of this folder")
    if changes and diff is None:
        missing.append(f"the changes to its commit: no {CODE} was kept (tracking.code_snapshot)")
    elif changes and diff is not None and _digest(diff) != changes:
        missing.append(f"the changes to its commit: {CODE} holds others, of data or of another day")
    return missing


def _digest(diff: str) -> str:
    return hashlib.sha256(diff.encode(errors="replace")).hexdigest()[:12]


def _packages_missing(packages: Mapping[str, str], info: Mapping[str, object]) -> list[str]:
    missing = []
    for name, wanted in packages.items():
        # Our own is what the commit is.
        if name != "casas-ray" and _is_version(wanted) and (found := _version(name)) != wanted:
            missing.append(f"{name} {wanted} (here: {found})")
    python = str(info.get("python", ""))
    if python and python != platform.python_version():
        missing.append(f"Python {python} (here: {platform.python_version()})")
    return missing


def _is_version(text: str) -> bool:
    return text[:1].isdigit()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def check_out(rerun: Rerun, tree: Path) -> None:
    """The run's code in a new worktree of the repository of this folder, its changes applied.

    Raises:
        RefusedError: something is missing, or lies there already.
        SetupError: git would not.
    """
    if rerun.missing:
        raise RefusedError(
            f"{shown(rerun.run)} cannot be trained exactly so here; missing: "
            f"{'; '.join(rerun.missing)}.",
            hint="without --to, the commands are printed for another place.",
        )
    if tree.exists():
        raise RefusedError(f"{shown(tree)} is there already.", hint="name a new folder.")
    if git("worktree", "add", "--detach", str(tree.absolute()), rerun.commit) is None:
        raise SetupError(f"git made no worktree at {shown(tree)}.", hint="git worktree list")
    if not rerun.diff:
        return
    patch = tree / f".{_CHANGES}"
    patch.write_text(rerun.diff, encoding="utf-8")
    applied = git("apply", "--whitespace=nowarn", patch.name, folder=tree)
    patch.unlink()
    if applied is None:
        raise SetupError(
            f"the changes do not apply to {rerun.commit[:12]}.",
            hint=f"the worktree stays at {shown(tree)}.",
        )
