"""What a study is expected to take, worked out before its trials and kept beside them."""

import heapq
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt

from casas_ray.config import Machine, Recipe
from casas_ray.errors import DataError
from casas_ray.records.costs import Cost, kind_of, known_costs
from casas_ray.sealed import fitted, read_sealed, write_sealed

log = logging.getLogger(__name__)

FORECAST_FILE = "forecast.json"
_HOUR = 3600.0

Range = tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]
"""The least, the likely and the most."""

Cells = Sequence[tuple[str, int, Recipe]]
"""Arm, seed and recipe of trials that are to run, in their order."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ArmForecast(_Part):
    """What one trial of an arm is expected to take."""

    steps: PositiveInt
    seconds: Range
    memory_mib: NonNegativeFloat
    gpu_memory_mib: NonNegativeFloat
    disk_bytes: NonNegativeFloat
    source: str


class Forecast(_Part):
    """What the trials of a study that are to run are expected to take."""

    machine: str
    at_a_time: PositiveInt
    is_assumed: bool
    """Whether nothing says how many run at a time, and one is taken."""

    trials: tuple[tuple[str, int], ...]
    """Arm and seed."""

    arms: Mapping[str, ArmForecast]
    """Those of which something is known."""

    unknown: tuple[str, ...]
    """The arms of which nothing is: there is no forecast of the whole then."""

    seconds: Range | None
    """From the command to the table, the data at hand."""

    gpu_hours: NonNegativeFloat | None
    price_per_hour: NonNegativeFloat
    disk_bytes: NonNegativeFloat | None
    made: str
    """When, in UTC."""

    @property
    def money(self) -> Range | None:
        """What the machine costs meanwhile; None where it has no price."""
        if self.seconds is None or not self.price_per_hour:
            return None
        least, likely, most = (each / _HOUR * self.price_per_hour for each in self.seconds)
        return least, likely, most


def forecast(cells: Cells, machine: Machine) -> Forecast:
    """What these trials are expected to take on a machine, by what is on disk of their kinds."""
    costs = known_costs([recipe for _, _, recipe in cells], machine)
    # A recipe of an arm differs by its seed alone, which costs nothing.
    kinds: dict[str, tuple[Recipe, Cost | None]] = {}
    for arm, _, recipe in cells:
        if arm not in kinds:
            kinds[arm] = (recipe, costs.get(kind_of(recipe, machine)))
    arms = {arm: _of_arm(recipe, cost, machine) for arm, (recipe, cost) in kinds.items() if cost}
    at_a_time, is_assumed = trials_at_a_time(machine)
    start = max((cost.start_seconds for cost in costs.values()), default=0.0)
    is_whole = len(arms) == len(kinds)
    each = [arms[arm] for arm, _, _ in cells] if is_whole else []
    return Forecast(
        machine=machine.name,
        at_a_time=at_a_time,
        is_assumed=is_assumed,
        trials=tuple((arm, seed) for arm, seed, _ in cells),
        arms=arms,
        unknown=tuple(arm for arm in kinds if arm not in arms),
        seconds=_makespan(each, at_a_time, start) if is_whole else None,
        gpu_hours=_gpu_hours(each, machine) if is_whole else None,
        price_per_hour=machine.price_per_hour,
        disk_bytes=sum(one.disk_bytes for one in each) if is_whole else None,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _of_arm(recipe: Recipe, cost: Cost, machine: Machine) -> ArmForecast:
    steps = recipe.optim.steps(cost.steps_per_epoch)
    looks = looks_in(recipe, cost.steps_per_epoch)
    least, likely, most = (
        steps * step + looks * look
        for step, look in zip(cost.step_seconds, cost.look_seconds, strict=True)
    )
    # The newest so many, and the best where it is another.
    kept = min(looks - 1, machine.keep_checkpoints + 1)
    return ArmForecast(
        steps=steps,
        seconds=(least, likely, most),
        memory_mib=cost.memory_mib,
        gpu_memory_mib=cost.gpu_memory_mib,
        disk_bytes=kept * cost.checkpoint_bytes,
        source=cost.source,
    )


def looks_in(recipe: Recipe, steps_per_epoch: int) -> int:
    """How often a training looks at the validation days, before its first step too."""
    total, every = recipe.optim.steps(steps_per_epoch), recipe.optim.validate_every
    return len(
        {0, total, *range(every, total, every), *range(steps_per_epoch, total, steps_per_epoch)}
    )


def trials_at_a_time(machine: Machine) -> tuple[int, bool]:
    """How many trials a machine runs at a time, and whether that is a mere assumption."""
    if machine.seat == "debug":
        return 1, False
    if machine.concurrent_trials:
        return machine.concurrent_trials, False
    slurm = machine.slurm
    if slurm.partition:
        has = (slurm.nodes * slurm.gpus_per_node, slurm.nodes * slurm.cpus_per_node)
        return _that_fit(machine, *has), False
    if machine.is_elsewhere or machine.gpus_per_worker:
        return 1, True
    return _that_fit(machine, 0, os.cpu_count() or 1), False


def _that_fit(machine: Machine, gpus: int, cpus: int) -> int:
    room = cpus / machine.cpus_per_worker
    if machine.gpus_per_worker:
        room = min(room, gpus / machine.gpus_per_worker)
    return max(1, int(room) // machine.most_workers)


def _makespan(trials: Sequence[ArmForecast], at_a_time: int, start: float) -> Range:
    least, likely, most = (
        start + _last_end([one.seconds[index] for one in trials], at_a_time) for index in range(3)
    )
    return least, likely, most


def _last_end(seconds: Sequence[float], at_a_time: int) -> float:
    """When the last of these ends, each begun in its turn as soon as a place is free."""
    places = [0.0] * at_a_time
    for each in seconds:
        heapq.heapreplace(places, places[0] + each)
    return max(places)


def _gpu_hours(trials: Sequence[ArmForecast], machine: Machine) -> float:
    gpus = machine.most_workers * machine.gpus_per_worker
    return sum(one.seconds[1] for one in trials) * gpus / _HOUR


def keep_forecast(folder: Path, made: Forecast) -> None:
    """Keep a study's first forecast, where something is known; one that lies there stands, for it
    is to be scored."""
    if made.arms and not (folder / FORECAST_FILE).exists():
        write_sealed(folder / FORECAST_FILE, made.model_dump(mode="json"))


def read_forecast(folder: Path) -> Forecast | None:
    """The forecast that was kept before a study's trials; None where there was none."""
    path = folder / FORECAST_FILE
    if not path.exists():
        return None
    hint = "without it nothing but its score is missing; it may be deleted."
    try:
        return fitted(Forecast, read_sealed(path, hint=hint), path, hint=hint)
    except DataError as error:
        log.warning("%s It is left out.", error.problem)
        return None
