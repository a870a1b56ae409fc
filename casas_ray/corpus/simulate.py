"""A simulated home: a resident's days on a real floor plan, written as a raw CASAS log.

This is a first, plain simulator: one resident, a weekly routine, motion and door sensors with hold
times. What comes from it is SIMULATED, and every table made from it says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from casas_ray.config import SimulateConfig
from casas_ray.corpus.alignment import new_folder
from casas_ray.corpus.homes import Home
from casas_ray.errors import DataError
from casas_ray.places import raw

_FIRST_DAY = np.datetime64("2009-10-16", "s")
_HOLD_SECONDS = 1.8
_LOG_NAME, TRUTH_NAME = "data", "truth.tsv"


class Habit(NamedTuple):
    """An activity of the routine: where it happens, about when, how long, how lively."""

    activity: str
    sensors: tuple[str, ...]
    hour: float
    """Mean start, hours since midnight; normal with 0.4 h of spread."""

    minutes: float
    """Median length; log-normal."""

    seconds_between: float
    """Mean time between movements while it lasts."""

    chance: float
    """Probability that a day has it."""


class Firing(NamedTuple):
    """One line of the log to be."""

    second: float
    sensor: str
    state: str
    mark: str


_MILAN_ROUTINE = (
    Habit("Sleep", ("M021", "M028", "M020"), 0.2, 330.0, 1500.0, 1.0),
    Habit("Bed_to_Toilet", ("M028", "M025", "M013"), 3.6, 4.0, 12.0, 0.8),
    Habit("Master_Bathroom", ("M013", "M025"), 6.7, 16.0, 14.0, 0.95),
    Habit("Kitchen_Activity", ("M012", "M015", "M016", "M022", "M023"), 7.4, 28.0, 7.0, 0.97),
    Habit("Morning_Meds", ("M014", "M015"), 8.0, 3.0, 6.0, 0.7),
    Habit("Read", ("M004", "M005"), 8.6, 45.0, 55.0, 0.8),
    Habit("Desk_Activity", ("M007", "M026"), 10.2, 50.0, 40.0, 0.5),
    Habit("Leave_Home", ("M002", "M001", "D001"), 11.5, 4.0, 8.0, 0.75),
    Habit("Kitchen_Activity", ("M012", "M015", "M022", "M023", "D003"), 13.1, 30.0, 7.0, 0.9),
    Habit("Dining_Rm_Activity", ("M003", "M027"), 13.8, 18.0, 30.0, 0.4),
    Habit("Guest_Bathroom", ("M017", "M018"), 14.6, 6.0, 10.0, 0.9),
    Habit("Chores", ("M027", "M010", "M019", "M024", "M005"), 15.4, 35.0, 9.0, 0.4),
    Habit("Master_Bedroom_Activity", ("M020", "M028", "M021"), 17.0, 18.0, 12.0, 0.85),
    Habit("Kitchen_Activity", ("M012", "M015", "M016", "M022", "M023"), 18.2, 40.0, 6.0, 0.95),
    Habit("Watch_TV", ("M008", "M006"), 19.6, 75.0, 65.0, 0.9),
    Habit("Eve_Meds", ("M014", "M016"), 21.3, 3.0, 6.0, 0.6),
    Habit("Meditate", ("M024",), 21.8, 14.0, 50.0, 0.25),
    Habit("Guest_Bathroom", ("M017", "M018"), 22.3, 7.0, 10.0, 0.9),
)
_ROUTINES = {"milan": _MILAN_ROUTINE}


@dataclass(frozen=True)
class Plan:
    """Sensor positions and the walking order between any two of them."""

    names: tuple[str, ...]
    xy: np.ndarray

    def way(self, start: str, goal: str) -> list[str]:
        """Motion sensors near the straight line from one sensor to another, in walking order."""
        at = {name: self.xy[place] for place, name in enumerate(self.names)}
        line = at[goal] - at[start]
        length = float(np.hypot(*line)) or 1.0
        along = (self.xy - at[start]) @ line / length
        aside = np.abs((self.xy - at[start]) @ np.array([-line[1], line[0]]) / length)
        near = np.flatnonzero((along > 0) & (along < length) & (aside < 260.0))
        return [self.names[place] for place in near[np.argsort(along[near])]]


def simulated_log(home: Home, config: SimulateConfig) -> Path:
    """The path of a simulated log of the home; written when there is none of these settings yet.

    Raises:
        DataError: there is no routine for this home.
    """
    if home.home not in _ROUTINES:
        raise DataError(
            f"there is no simulator for home '{home.home}'.",
            hint=f"homes that can be simulated: {', '.join(_ROUTINES)}.",
        )
    folder = raw() / f"{home.home}-simulated-{config.days}d-seed{config.seed}-{home.digest()[:6]}"
    if not folder.is_dir():
        with new_folder(folder) as draft:
            firings = simulate(home, config)
            _write(draft / _LOG_NAME, firings)
            _write_truth(draft / TRUTH_NAME, firings)
    return folder / _LOG_NAME


def simulate(home: Home, config: SimulateConfig) -> list[Firing]:
    """All firings of the simulated days, in time order; the marks are the truth."""
    rng = np.random.default_rng([config.seed, config.days])
    placed = {
        name: sensor.xy
        for name, sensor in home.sensors.items()
        if sensor.xy and sensor.type in ("motion", "door")
    }
    motion = [name for name in placed if home.sensors[name].type == "motion"]
    plan = Plan(tuple(motion), np.array([placed[name] for name in motion]))
    firings = [
        firing
        for day in range(config.days)
        for firing in _day(rng, plan, _ROUTINES[home.home], day * 86_400.0)
    ]
    return sorted(firings, key=lambda firing: firing.second)


def _day(
    rng: np.random.Generator, plan: Plan, routine: Sequence[Habit], midnight: float
) -> Iterator[Firing]:
    here, clock = routine[0].sensors[0], midnight
    for habit in routine:
        if rng.random() > habit.chance:
            continue
        wanted = midnight + 3600.0 * (habit.hour + 0.4 * rng.standard_normal())
        clock = max(clock + 20.0, wanted)
        steps = plan.way(here, habit.sensors[0]) if here in plan.names else []
        for step in steps:
            yield from _fire(rng, step, clock, "")
            clock += 2.0 + 2.0 * rng.random()
        length = 60.0 * habit.minutes * float(np.exp(0.35 * rng.standard_normal()))
        length = min(length, max(60.0, midnight + 86_399.0 - clock))
        yield from _habit(rng, habit, clock, length)
        clock += length
        here = habit.sensors[0]


def _habit(rng: np.random.Generator, habit: Habit, start: float, length: float) -> Iterator[Firing]:
    moves = max(2, int(rng.poisson(length / habit.seconds_between)))
    times = np.sort(start + length * rng.random(moves))
    sensors = rng.integers(len(habit.sensors), size=moves)
    for place, (second, sensor) in enumerate(zip(times, sensors, strict=True)):
        mark = f"{habit.activity} begin" if place == 0 else ""
        yield from _fire(rng, habit.sensors[sensor], float(second), mark)
    last = float(times[-1]) + 10.0 * _HOLD_SECONDS
    yield from _fire(rng, habit.sensors[sensors[-1]], last, f"{habit.activity} end")


def _fire(rng: np.random.Generator, sensor: str, second: float, mark: str) -> Iterator[Firing]:
    on, off = ("OPEN", "CLOSE") if sensor.startswith("D") else ("ON", "OFF")
    hold = _HOLD_SECONDS * float(rng.lognormal(0.0, 0.5))
    yield Firing(second, sensor, on, mark)
    yield Firing(second + hold, sensor, off, "")


def _stamps(firings: Sequence[Firing]) -> list[str]:
    seconds = np.array([firing.second for firing in firings])
    moments = _FIRST_DAY.astype("datetime64[us]") + (seconds * 1e6).astype("timedelta64[us]")
    return [text.replace("T", " ") for text in np.datetime_as_string(moments, unit="us")]


def _write(path: Path, firings: Sequence[Firing]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for stamp, firing in zip(_stamps(firings), firings, strict=True):
            tail = f"\t{firing.mark}" if firing.mark else ""
            out.write(f"{stamp}\t{firing.sensor}\t{firing.state}{tail}\n")


def _write_truth(path: Path, firings: Sequence[Firing]) -> None:
    """Each planted activity with its begin and end, as the log's marks say them."""
    begun: dict[str, str] = {}
    with path.open("w", encoding="utf-8") as out:
        out.write("activity\tbegin\tend\n")
        for stamp, firing in zip(_stamps(firings), firings, strict=True):
            activity, _, kind = firing.mark.partition(" ")
            if kind == "begin":
                begun[activity] = stamp
            elif kind == "end":
                out.write(f"{activity}\t{begun.pop(activity)}\t{stamp}\n")
