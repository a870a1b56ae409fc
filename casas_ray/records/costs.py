"""What trainings cost: time, memory and disk, read off the ledgers of earlier runs or measured by
a calibration that was kept."""

import hashlib
import json
import logging
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from casas_ray import paths
from casas_ray.config import Machine, Recipe, flat
from casas_ray.errors import DataError
from casas_ray.records.ledger import LEDGER
from casas_ray.records.provenance import host_kind
from casas_ray.records.rows import Row, row_of
from casas_ray.records.run_result import RunResult
from casas_ray.records.taken import Taken, paces_of, taken_by
from casas_ray.sealed import fitted, read_sealed, write_sealed

log = logging.getLogger(__name__)

CALIBRATIONS = ".calibrations"
"""In the folder of runs: a file for each kind of training that was measured."""

_CHANGES_NO_TIME = frozenset(
    {
        "name",
        "seed",
        "data.captions.seed",
        "data.split.seed",
        *(f"loss.{name}" for name in ("clip_weight", "mlm_weight", "focal_gamma")),
        *(f"loss.{name}" for name in ("sigmoid_bias_init", "soft_temperature")),
        *(f"loss.temperature_{name}" for name in ("init", "learnable", "min", "max")),
        *(f"masking.hide.{name}" for name in ("sensor", "state", "time_of_day", "time_gap")),
        *(f"masking.{name}" for name in ("blackout", "swap", "keep", "grows_from", "mean_span")),
        *(f"optim.{name}" for name in ("learning_rate", "beta1", "beta2", "weight_decay")),
        *(f"optim.{name}" for name in ("warmup_share", "gradient_clip", "select_by")),
        # They change how many steps and looks there are, not what one takes.
        *(f"optim.{name}" for name in ("epochs", "max_steps", "validate_every", "patience")),
    }
)

_NEWEST = 5
"""Earlier runs of a kind that are read; there may be thousands."""

_RUNS_WIDEN, _CALIBRATION_WIDENS = 0.1, 0.25
"""What is seen of a step's time may come out so much smaller or larger, whatever was seen."""


class Cost(BaseModel):
    """What a training of one kind takes where it was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step_seconds: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    """The least, the likely and the most."""

    look_seconds: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]
    """The same of a look at the validation days."""

    steps_per_epoch: PositiveInt
    memory_mib: NonNegativeFloat
    """Of the process, at most; with it torch's own."""

    gpu_memory_mib: NonNegativeFloat
    checkpoint_bytes: NonNegativeFloat
    start_seconds: NonNegativeFloat = 0.0
    """From the command to the first step of the first trial, and from the last to the table."""

    source: str
    seen: NonNegativeFloat
    """When, in seconds of the epoch."""


def kind_of(recipe: Recipe | Mapping[str, object], machine: Machine) -> str:
    """Twelve hexadecimal digits, equal for trainings that take equally long a step there.

    The recipe may be as a ledger has it: by path.
    """
    where = {
        "device": "cuda" if machine.gpus_per_worker else "cpu",
        "workers": machine.most_workers,
        "threads": machine.threads,
        # A share of a GPU, and another cluster, are other machines.
        "gpus": machine.gpus_per_worker,
        "host": machine.name if machine.is_elsewhere else host_kind(),
    }
    return _digest(recipe, where)


def _digest(recipe: Recipe | Mapping[str, object], where: Mapping[str, object]) -> str:
    held = flat(recipe) if isinstance(recipe, Recipe) else recipe
    counts = {path: value for path, value in held.items() if path not in _CHANGES_NO_TIME}
    text = json.dumps([counts, where], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def known_costs(recipes: Sequence[Recipe], machine: Machine) -> dict[str, Cost]:
    """What is known of the kinds of these recipes on a machine, by kind.

    Runs that ended after a calibration say it, else the calibration.
    """
    wanted = {kind_of(recipe, machine) for recipe in recipes}
    calibrated = {kind: cost for kind in wanted if (cost := _calibrated(kind)) is not None}
    found = _of_runs(wanted, machine)
    for kind, taken in found.items():
        since = calibrated[kind].seen if kind in calibrated else 0.0
        if newer := [each for each in taken if each.ended > since]:
            calibrated[kind] = _cost_of(newer, start=_start_of(calibrated.get(kind)))
    return calibrated


def keep_calibration(recipe: Recipe, machine: Machine, cost: Cost) -> None:
    """Keep what was measured of a kind of training."""
    folder = paths.runs() / CALIBRATIONS
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / f"{kind_of(recipe, machine)}.json", cost.model_dump(mode="json"))


def _start_of(cost: Cost | None) -> float:
    return cost.start_seconds if cost else 0.0


def _calibrated(kind: str) -> Cost | None:
    path = paths.runs() / CALIBRATIONS / f"{kind}.json"
    if not path.exists():
        return None
    hint = "`casas-ray plan STUDY --calibrate` writes it anew."
    try:
        return fitted(Cost, read_sealed(path, hint=hint), path, hint=hint)
    except DataError as error:
        log.warning("%s It is left out.", error.problem)
        return None


def _of_runs(wanted: Collection[str], machine: Machine) -> dict[str, list[Taken]]:
    found: dict[str, list[Taken]] = {}
    for folder, info in _begun_runs():
        kind = _kind_seen(info, machine)
        if kind not in wanted or len(found.get(kind, ())) == _NEWEST:
            continue
        taken = taken_by(RunResult.read(folder))
        if taken is not None:
            found.setdefault(kind, []).append(taken)
    return found


def _begun_runs() -> Iterator[tuple[Path, Row]]:
    """The folders of all runs and what each said of itself when it first started; the newest
    first."""
    ledgers = [*paths.runs().glob(f"*/{LEDGER}"), *paths.runs().glob(f"*/*/{LEDGER}")]
    for path in sorted(ledgers, key=lambda each: each.stat().st_mtime, reverse=True):
        with path.open("rb") as stream:
            row = row_of(stream.readline())
        if row is not None and row["event"] == "start":
            yield path.parent, row["info"]


def _kind_seen(info: Row, machine: Machine) -> str:
    where = {
        "device": info.get("device"),
        "workers": info.get("workers"),
        "threads": info.get("threads"),
        # Ledgers tell neither a share of a GPU nor which cluster it was.
        "gpus": machine.gpus_per_worker,
        "host": machine.name if machine.is_elsewhere else info.get("host_kind"),
    }
    return _digest(info.get("recipe", {}), where)


def _cost_of(taken: Sequence[Taken], *, start: float) -> Cost:
    newest = max(taken, key=lambda each: each.ended)
    steps = [each.step_seconds for each in taken]
    return Cost(
        step_seconds=range_of(steps, widened=_RUNS_WIDEN),
        look_seconds=range_of([each.look_seconds for each in taken], widened=_RUNS_WIDEN),
        steps_per_epoch=newest.steps_per_epoch,
        memory_mib=max(each.memory_mib for each in taken),
        gpu_memory_mib=max(each.gpu_memory_mib for each in taken),
        checkpoint_bytes=newest.checkpoint_bytes,
        start_seconds=start,
        source=f"{len(taken)} earlier run{'s' if len(taken) > 1 else ''}",
        seen=newest.ended,
    )


def calibrated_cost(run: RunResult, *, start_seconds: float) -> Cost | None:
    """The cost of a short run whose rows stand close together; None where it did not finish."""
    taken = taken_by(run)
    if taken is None:
        return None
    seen = paces_of(run) or [taken.step_seconds]
    return Cost(
        step_seconds=range_of(seen, widened=_CALIBRATION_WIDENS),
        look_seconds=range_of([taken.look_seconds], widened=_CALIBRATION_WIDENS),
        steps_per_epoch=taken.steps_per_epoch,
        memory_mib=taken.memory_mib,
        gpu_memory_mib=taken.gpu_memory_mib,
        checkpoint_bytes=taken.checkpoint_bytes,
        start_seconds=start_seconds,
        source="a calibration",
        seen=taken.ended,
    )


def range_of(seen: Sequence[float], *, widened: float) -> tuple[float, float, float]:
    """The least, the likely and the most of what was seen, the ends made wider by a share."""
    likely = statistics.median(seen)
    least, most = min(seen), max(seen)
    return min(least, likely * (1 - widened)), likely, max(most, likely * (1 + widened))
