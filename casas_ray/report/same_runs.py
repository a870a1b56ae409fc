"""Whether two trainings of one recipe came out the same, bit by bit, and what one did twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from casas_ray.errors import CasasError
from casas_ray.records import checkpoints
from casas_ray.records.checkpoint_files import WEIGHTS, read_meta
from casas_ray.records.ledger import LEDGER, read_rows, rows_of
from casas_ray.records.rows import Row

_CLOCKS = ("train/samples_per_s", "train/data_wait_share")
_SYSTEM = "system/"


@dataclass(frozen=True)
class Resume:
    """A start of a training that had begun before."""

    time: float
    """In seconds since 1970."""

    step: int
    """From which it went on."""

    lost: int
    """Steps that its ledger had beyond that, and which were done again."""


def difference(run: Path, wanted: Path) -> str:
    """The first difference of a run from one that it is to equal; empty where there is none.

    Clocks, paths and checkpoints that were left because somebody asked the training to stop are no
    difference.
    """
    told, expected = _told(run), _told(wanted)
    for what, value in expected.items():
        if what not in told:
            return f"{what} is missing"
        if told[what] != value:
            return f"{what} is {_short(told[what])}, not {_short(value)}"
    more = sorted(told.keys() - expected.keys())
    return f"{more[0]} is more" if more else ""


def resumes(run: Path) -> list[Resume]:
    """Every start of a run after its first, in order."""
    found: list[Resume] = []
    last: int | None = None
    for row in rows_of(run / LEDGER):
        if row["event"] == "start" and last is not None:
            found.append(Resume(row["time"], row["step"], max(0, last - row["step"])))
        last = row["step"]
    return found


def _told(run: Path) -> dict[str, object]:
    """What a run came to, by names that are read in a sentence."""
    rows = read_rows(run)
    told: dict[str, object] = {}
    for row in rows:
        told.update(_told_by(row))
    told["the checkpoint of the end"] = _newest_weights(run)
    return told


def _told_by(row: Row) -> Iterator[tuple[str, object]]:
    at = f"at step {row['step']}"
    if row["event"] == "metrics":
        for name, value in row["metrics"].items():
            if name not in _CLOCKS and not name.startswith(_SYSTEM):
                yield f"{name} {at}", value
    elif row["event"] == "checkpoint" and row.get("is_best"):
        yield f"the best checkpoint {at}", True
    elif row["event"] == "model":
        about = row["about"]
        yield f"the {row['which']} model {at}", [about.get("sha256"), about.get("val_loss")]
    elif row["event"] == "end":
        yield "its end", [row["status"], row.get("error", "")]


def _newest_weights(run: Path) -> str:
    """The hash of the weights of a run's last checkpoint, whose files are whole."""
    steps = checkpoints.steps(run)
    if not steps:
        return "none"
    try:
        return read_meta(checkpoints.checkpoint_folder(run, steps[-1]))["sha256"][WEIGHTS]
    except CasasError:
        return "damaged"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
