"""Comparing runs by what they left: ledger rows without clocks, and weights."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from casas_ray.records import checkpoints
from casas_ray.records.ledger import read_rows

CLOCKS = ("train/samples_per_s", "train/data_wait_share")


def rows_of(folder: Path) -> list[dict]:
    """Ledger rows without what a clock says."""
    rows = []
    for row in read_rows(folder):
        if row["event"] == "start":
            continue
        metrics = {
            name: value
            for name, value in row.get("metrics", {}).items()
            if name not in CLOCKS and not name.startswith("system/")
        }
        about = {name: value for name, value in row.get("about", {}).items() if name != "time"}
        rows.append({**row, "time": 0, "metrics": metrics, "about": about})
    return rows


def weights(folder: Path) -> dict[str, torch.Tensor]:
    last = checkpoints.latest(folder)
    assert last is not None
    return load_file(last / "weights.safetensors")


def assert_same_run(one: Path, other: Path) -> None:
    assert rows_of(one) == rows_of(other)
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
