"""What made a study, what it took, and the command that does it again."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.pairs import Results


@dataclass(frozen=True)
class Provenance:
    """The facts of a study's runs that a reader may want to check."""

    command: str
    hours: float
    """From the starts to the ends of all trainings, as their ledgers' clocks tell."""

    facts: Sequence[tuple[str, Sequence[str]]]
    """By name, every kind that any run had."""


def provenance_of(record: StudyRecord, results: Results) -> Provenance:
    """The provenance of these runs: no paths, no names of hosts or people."""
    infos = [info for run in results.values() for info in run.infos]
    facts = [
        ("code", _kinds(infos, "git_commit")),
        ("code differs from its commit", _kinds(infos, "git_dirty")),
        ("data", _kinds(infos, "fingerprint")),
        ("device", _kinds(infos, "device")),
        ("python", _kinds(infos, "python")),
        ("packages", _packages(infos)),
    ]
    seconds = sum(seconds_of(run) for run in results.values())
    return Provenance(
        command_of(record), seconds / 3600, [(name, each) for name, each in facts if each]
    )


def command_of(record: StudyRecord) -> str:
    """The command that trains the study again."""
    changes = [f"{path}={_word(value)}" for path, value in record.changes.items()]
    seeds = len({seed for _, seed, _ in record.trials})
    marks = ["--quick"] if record.quick else []
    words = ["casas-ray", "tune", record.study, *marks, "--seeds", str(seeds), *changes]
    return shlex.join(words)


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kinds(infos: Sequence[Mapping[str, object]], key: str) -> list[str]:
    found = (str(info[key]) for info in infos if info.get(key) not in (None, ""))
    return list(dict.fromkeys(found))


def _packages(infos: Sequence[Mapping[str, object]]) -> list[str]:
    found = []
    for info in infos:
        packages = info.get("packages")
        if isinstance(packages, dict):
            found.append(", ".join(f"{name} {version}" for name, version in packages.items()))
    return list(dict.fromkeys(found))


def seconds_of(run: RunResult) -> float:
    """The time of a training; of one that was taken up again, of each of its parts."""
    total, began = 0.0, None
    last = 0.0
    for row in run.rows:
        if row["event"] == "start":
            total += last - began if began is not None else 0.0
            began = row.get("time", 0.0)
        last = row.get("time", last)
    return total + (last - began if began is not None else 0.0)
