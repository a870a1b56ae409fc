"""What may leave this machine: the one place that decides.

Metrics go as they are: their names are those of the code. Everything else of a run passes through
here, and what is not listed stays.
"""

# The lists are of what may go, never of what may not: a fact that somebody adds to a ledger
# tomorrow stays here until it is listed. tests/tracking/ holds us to them.

from collections.abc import Mapping
from typing import Any

from casas_ray.records.rows import Row
from casas_ray.records.verdict import Verdict

PRIVATE_SETTINGS = frozenset({"recipe.text.model", "recipe.data.captions.file"})
"""Settings that can hold a path of this machine; every new one that can must be listed."""

FACTS = (
    "home",
    "caveats",
    "fingerprint",
    "total_steps",
    "trainable_parameters",
    "workers",
    "git_commit",
    "git_dirty",
    "git_changes",
    "packages",
    "python",
    "host_kind",
    "threads",
    "device",
)
ALERT_FACTS = ("event", "of", "run", "step", "text")
"""Names as W&B has them, and sentences of the code: never what an error said, which may hold a
path."""

MODEL_FACTS = (
    "step",
    "val_loss",
    "local_path",
    "file_size",
    "sha256",
    "time",
    "total_parameters",
    "trainable_parameters",
)


def sent_config(info: Mapping[str, Any]) -> dict[str, Any]:  # Any: what JSON holds
    """What W&B learns of a run: its settings and counts; no path, no name of a person or a host."""
    recipe = {f"recipe.{path}": value for path, value in info.get("recipe", {}).items()}
    allowed = {path: value for path, value in recipe.items() if path not in PRIVATE_SETTINGS}
    return allowed | {name: info[name] for name in FACTS if name in info}


def sent_alert(alert: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    """What a webhook learns of an alert."""
    return {name: alert[name] for name in ALERT_FACTS if name in alert}


def sent_model(row: Row) -> dict[str, Any]:  # Any: what JSON holds
    """What W&B learns of a model file that stays here, as `best_model/...` or `final_model/...`."""
    about = row["about"]  # its local_path was made relative to the run before it was a row
    return {f"{row['which']}_model/{name}": about[name] for name in MODEL_FACTS if name in about}


def sent_verdict(verdict: Verdict) -> tuple[dict[str, float], list[list[str | float | None]]]:
    """What W&B learns of a look at the test days: the trained model's metrics, and all columns as
    rows of a table under a header."""
    columns = verdict.columns
    names = sorted({metric for column in columns.values() for metric in column})
    rows: list[list[str | float | None]] = [["metric", *columns]]
    rows += [[name, *(column.get(name) for column in columns.values())] for name in names]
    return dict(columns["trained"]), rows
