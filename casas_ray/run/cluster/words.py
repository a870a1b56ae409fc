"""A machine as words of a command that runs on its cluster."""

import json
from collections.abc import Sequence

from casas_ray.config import Machine, differences

_HERE_ALONE = ("address", "dashboard")
"""There, RAY_ADDRESS names the cluster, and nothing is sent on."""


def machine_words(machine: Machine, *, without: Sequence[str] = ()) -> list[str]:
    """What a machine is: neither where, nor settings that are as usual, nor those left out."""
    told = differences(Machine(), machine)
    left_out = {*_HERE_ALONE, *without}
    return [
        f"machine.{path}={_as_typed(value)}"
        for path, value in told.items()
        if path not in left_out and not path.startswith("slurm.")
    ]


def _as_typed(value: object) -> str:
    text = json.dumps(value)
    if not isinstance(value, str):
        return text
    try:
        json.loads(value)
    except ValueError:
        return value
    return text  # which would be taken for a number, or for nothing
