"""Comparing studies by their tables and by what their trials left."""

import json
from pathlib import Path

from casas_ray.records.ledger import rows_of as every_row_of
from support.ledgers import assert_same_run, rows_of, weights


def assert_same_study(one: Path, other: Path, *, stops: bool = False) -> None:
    """Tables, ledgers and weights are equal; `stops` leaves out checkpoints of steps at which
    somebody asked a training to stop."""
    assert table_of(one) == table_of(other)
    for run in sorted(path.parent for path in other.glob("*/run.json")):
        if stops:
            wanted = rows_of(run)
            steps = {row["step"] for row in wanted if row["event"] == "checkpoint"}
            rows = [
                row
                for row in rows_of(one / run.name)
                if row["event"] != "checkpoint" or row["step"] in steps
            ]
            assert rows == wanted
            first, second = weights(run), weights(one / run.name)
            assert all((first[name] == second[name]).all() for name in first)
        else:
            assert_same_run(one / run.name, run)


def table_of(study: Path) -> dict:
    """What a study's comparison says, but for where it lies and when its rule was written."""
    table = json.loads((study / "results.json").read_text())
    return {**table, "folder": "", "seal": "", "rule": {**table["rule"], "written": ""}}


def starts_of(study: Path) -> list[int]:
    """The steps from which its trials began or went on."""
    return sorted(
        row["step"]
        for path in study.glob("*/ledger.jsonl")
        for row in every_row_of(path)
        if row["event"] == "start"
    )
