"""What a reader of a study must be told besides its numbers: unlike code, looks at test days."""

from collections.abc import Callable, Mapping
from typing import Any

from casas_ray.records.provenance import UNKNOWN
from casas_ray.records.run_result import RunResult
from casas_ray.records.verdict import recorded_verdict

Runs = Mapping[tuple[str, int], RunResult]
Info = Mapping[str, Any]  # Any: what JSON holds
_NAMED = 4
"""Runs that are named of each kind."""


def remarks(runs: Runs) -> list[str]:
    """Whole sentences, none where all runs are of one kind and no test day was looked at."""
    kinds: list[tuple[str, Callable[[Info], str]]] = [
        ("The code differs between runs", _code),
        ("Package versions differ between runs", _packages),
        ("The device differs between runs", lambda info: str(info.get("device", UNKNOWN))),
        ("clip_loss is over batches, whose size differs", _batch),
    ]
    said = [_difference(what, runs, told) for what, told in kinds]
    return [text for text in said if text]


def looks(runs: Runs) -> list[str]:
    """One sentence an arm and seed whose test days were looked at, with who did and when."""
    verdicts = {key: recorded_verdict(run.folder) for key, run in runs.items()}
    return [
        f"{_name(key)} at step {verdict.step}"
        + (f", {verdict.looked_at}" if verdict.looked_at else "")
        + (f", by {verdict.looked_by}" if verdict.looked_by else "")
        for key, verdict in verdicts.items()
        if verdict is not None
    ]


def _difference(what: str, runs: Runs, told: Callable[[Info], str]) -> str:
    kinds: dict[str, list[str]] = {}
    for key, run in runs.items():
        # Every start that counts: a run taken up by other code is of both.
        for text in dict.fromkeys(told(info) for info in run.infos):
            kinds.setdefault(text, []).append(_name(key))
    if len(kinds) < 2:
        return ""
    parts = [f"{text} ({_listed(names)})" for text, names in kinds.items()]
    return f"{what}: {'; '.join(parts)}."


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _name(key: tuple[str, int]) -> str:
    return f"{key[0]}-seed{key[1]}"


def _code(info: Info) -> str:
    commit, dirty = info.get("git_commit") or UNKNOWN, info.get("git_dirty", UNKNOWN)
    if commit == UNKNOWN:
        return "unknown commit"
    changes = f" {info['git_changes']}" if info.get("git_changes") else ""
    state = {True: f" with changes{changes}", False: ""}.get(dirty, ", changes unknown")
    return f"commit {commit[:8]}{state}"


def _packages(info: Info) -> str:
    packages = {"Python": info.get("python", UNKNOWN), **info.get("packages", {})}
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _batch(info: Info) -> str:
    return str(info.get("recipe", {}).get("optim.batch_size", UNKNOWN))
