"""A simulated home: residents' weeks on a real floor plan, written as a raw CASAS log.

Residents follow a weekly routine with visits, nights out and a pet; sensors see what moves before
them, miss some of it and sometimes see what is not there. The log carries begin and end marks as
annotated logs do. All that comes from it is SIMULATED, and every table made from it says so.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from casas_ray.config import SimulateConfig
from casas_ray.corpus.homes import Home
from casas_ray.corpus.simulate.physics import (
    Line,
    Movement,
    door_lines,
    motion_lines,
    temperature_lines,
    with_jitter,
)
from casas_ray.corpus.simulate.routine import Calendar, Episode, FloorPlan, Routine, load_routine
from casas_ray.errors import DataError
from casas_ray.files import mended_folder, new_folder, sha256_of, shown
from casas_ray.names import cell
from casas_ray.paths import raw
from casas_ray.sealed import read_sealed, write_sealed

log = logging.getLogger(__name__)

CODE_VERSION = 2
"""Raised when the same settings come to give another log."""

TRUTH_NAME = "truth.tsv"
_LOG_NAME = "data"
_HASHES = "hashes.json"
_FIRST_DAY = np.datetime64("2009-10-16", "s")
_FIRST_WEEKDAY = 4  # a Friday
_SECOND_IS_LATE_BY = 1.1
"""Hours by which the second resident's day lies after the first's."""

_STEP_SECONDS = (1.2, 2.6)
_STAYS = 0.85
"""Chance that the next movement is before the same sensor."""

_BETWEEN_SECONDS = 260.0
"""Mean time between movements that belong to no activity."""


class Planted(NamedTuple):
    """An activity that really took place, in seconds since the first midnight."""

    activity: str
    begin: float
    end: float


def simulated_log(home: Home, config: SimulateConfig) -> Path:
    """The path of a simulated log of the home; written when there is none of these settings yet.

    Raises:
        DataError: the home's facts have no floor plan to walk in.
    """
    kind = f"{config.days}d-seed{config.seed}" + ("-two" if config.residents > 1 else "")
    routine = load_routine()
    mark = f"v{CODE_VERSION}-{home.digest()[:4]}{routine.digest()[:4]}"
    folder = raw() / f"{home.home}-simulated-{kind}-{mark}"
    if not _is_whole(folder):
        lines, planted = simulate(home, config, routine)
        with mended_folder(folder) if folder.is_dir() else new_folder(folder) as draft:
            _write_log(draft / _LOG_NAME, lines, planted)
            _write_truth(draft / TRUTH_NAME, planted)
            hashes = {name: sha256_of(draft / name) for name in (_LOG_NAME, TRUTH_NAME)}
            write_sealed(draft / _HASHES, hashes)
    return folder / _LOG_NAME


def _is_whole(folder: Path) -> bool:
    """Whether a simulated log is there and as it was written."""
    if not (folder / _LOG_NAME).is_file():
        return False
    if not (folder / _HASHES).exists():  # of an earlier version
        return True
    try:
        wanted = read_sealed(folder / _HASHES, hint="")
        whole = wanted == {name: sha256_of(folder / name) for name in (_LOG_NAME, TRUTH_NAME)}
    except (DataError, OSError):
        whole = False
    if not whole:
        log.warning("%s is not as it was written; it is simulated again", shown(folder))
    return whole


def simulate(
    home: Home, config: SimulateConfig, routine: Routine
) -> tuple[list[Line], list[Planted]]:
    """The lines of the simulated days in the order in which they were written, and the truth."""
    plan = FloorPlan.of(home)
    episodes: list[Episode] = []
    movements: list[Movement] = []
    for resident in range(config.residents):
        # A generator each: a second resident changes nothing of the first one's life.
        rng = np.random.default_rng([config.seed, config.days, resident])
        calendar = Calendar.of(
            routine,
            plan,
            home.home,
            days=config.days,
            first_weekday=_FIRST_WEEKDAY,
            rng=rng,
            late_by=_SECOND_IS_LATE_BY * resident,
            mark=f"R{resident + 1}_" if config.residents > 1 else "",
        )
        own = [episode for episode in calendar.episodes if episode.end < 86_400.0 * config.days]
        movements += _live(own, plan, rng)
        episodes += own
    rng = np.random.default_rng([config.seed, config.days, config.residents, 1])
    movements += _visitors(routine, plan, config.days, rng)
    if "dog" in home.residents or "cat" in home.residents:
        movements += _pet(routine, plan, config.days, rng)
    planted = [Planted(episode.activity, episode.begin, episode.end) for episode in episodes]
    lines = _sensed(movements, home, plan, config.days, rng)
    return lines, sorted(planted, key=lambda activity: activity.begin)


def _live(
    episodes: Sequence[Episode], plan: FloorPlan, rng: np.random.Generator
) -> Iterator[Movement]:
    """All movements of one resident: the activities, the ways between, and idle moves."""
    here, clock = 0, 0.0
    for episode in episodes:
        weights = plan.weights(episode.habit)
        assert weights is not None  # the calendar has no others
        goal = int(rng.choice(len(weights), p=weights))
        walk = [here, *plan.way(here, goal), goal]
        start = episode.begin - rng.uniform(*_STEP_SECONDS) * len(walk)
        yield from _idle(plan, here, clock, start, rng)
        for step, sensor in enumerate(walk):
            second = start + (episode.begin - start) * step / len(walk)
            yield Movement(max(clock, second), plan.names[sensor])
        if episode.habit.away:
            yield from _outing(episode, plan, goal, rng)
        else:
            yield from _activity(episode, plan, weights, goal, rng)
        here, clock = goal, episode.end


def _activity(
    episode: Episode,
    plan: FloorPlan,
    weights: np.ndarray,
    here: int,
    rng: np.random.Generator,
) -> Iterator[Movement]:
    second = episode.begin + 0.5
    while second < episode.end:
        yield Movement(second, plan.names[here])
        if rng.random() > _STAYS:
            here = int(rng.choice(len(weights), p=weights))
        # Restless for a while, then still: gaps spread over two orders of magnitude.
        second += episode.habit.every * float(rng.gamma(0.45, 1.0 / 0.45)) + 0.4
    yield Movement(episode.end - 0.2, plan.names[here])


def _outing(
    episode: Episode, plan: FloorPlan, here: int, rng: np.random.Generator
) -> Iterator[Movement]:
    door = plan.doors[int(rng.integers(len(plan.doors)))] if plan.doors else plan.names[here]
    for begin in (episode.begin, episode.end - 20.0):
        for step in range(3):
            yield Movement(begin + 1.0 + step * rng.uniform(1.5, 4.0), plan.names[here])
        yield Movement(begin + 6.0, door)


def _idle(
    plan: FloorPlan, here: int, begin: float, end: float, rng: np.random.Generator
) -> Iterator[Movement]:
    """Moves that belong to no activity: at times to another room and back."""
    second = begin + rng.exponential(_BETWEEN_SECONDS)
    while second < end - 10.0:
        goal = int(rng.integers(len(plan.names)))
        for sensor in [here, *plan.way(here, goal), goal]:
            if second < end - 5.0:
                yield Movement(second, plan.names[sensor])
            second += rng.uniform(*_STEP_SECONDS)
        second += _BETWEEN_SECONDS * float(rng.gamma(0.5, 2.0))
        here = goal


def _visitors(
    routine: Routine, plan: FloorPlan, days: int, rng: np.random.Generator
) -> Iterator[Movement]:
    for day in range(days):
        weekend = int((_FIRST_WEEKDAY + day) % 7 >= 5)
        if rng.random() < routine.visits[weekend]:
            begin = 86_400.0 * day + 3600.0 * rng.uniform(11.0, 19.0)
            end = begin + 3600.0 * rng.uniform(0.7, 2.5)
            if plan.doors:
                yield Movement(begin, plan.doors[0])
                yield Movement(end, plan.doors[0])
            yield from _idle(plan, 0, begin, end, rng)


def _pet(
    routine: Routine, plan: FloorPlan, days: int, rng: np.random.Generator
) -> Iterator[Movement]:
    second, here = 0.0, 0
    while second < 86_400.0 * days:
        asleep = second % 86_400.0 < 6.0 * 3600.0
        second += rng.exponential(3600.0 / routine.pet_moves) * (5.0 if asleep else 1.0)
        goal = int(rng.integers(len(plan.names)))
        for sensor in [*plan.way(here, goal), goal]:
            yield Movement(second, plan.names[sensor])
            second += rng.uniform(*_STEP_SECONDS)
        here = goal


def _sensed(
    movements: Iterable[Movement],
    home: Home,
    plan: FloorPlan,
    days: int,
    rng: np.random.Generator,
) -> list[Line]:
    by_sensor: dict[str, list[float]] = defaultdict(list)
    for movement in movements:
        by_sensor[movement.sensor].append(movement.second)
    lines: list[Line] = []
    for name, sensor in home.sensors.items():
        if name in plan.doors:
            lines += door_lines(name, sorted(by_sensor[name]), rng)
        elif name in plan.names:
            lines += motion_lines(name, by_sensor[name], days, rng)
        elif sensor.type == "temperature":
            lines += temperature_lines(name, days, rng)
    return with_jitter([line for line in lines if line.second < 86_400.0 * days], rng)


def _stamps(seconds: Sequence[float]) -> list[str]:
    since = (np.asarray(seconds) * 1e6).astype("timedelta64[us]")
    moments = _FIRST_DAY.astype("datetime64[us]") + since
    return [text.replace("T", " ") for text in np.datetime_as_string(moments, unit="us")]


def _write_log(path: Path, lines: Sequence[Line], planted: Sequence[Planted]) -> None:
    marks = _marks(lines, planted)
    stamps = _stamps([line.second for line in lines])
    with path.open("w", encoding="utf-8") as out:
        for index, (stamp, line) in enumerate(zip(stamps, lines, strict=True)):
            tail = f"\t{marks[index]}" if index in marks else ""
            out.write(f"{stamp}\t{line.sensor}\t{line.state}{tail}\n")


def _marks(lines: Sequence[Line], planted: Sequence[Planted]) -> dict[int, str]:
    """By index of a line: the begin or the end that stands on it, at or next to its moment."""
    seconds = np.array([line.second for line in lines])
    marks: dict[int, str] = {}
    for activity, begin, end in planted:
        first = int(np.searchsorted(seconds, begin))
        last = int(np.searchsorted(seconds, end, side="right")) - 1
        # A line holds one mark: the next one moves on to a free line inside its activity.
        while first in marks:
            first += 1
        while last in marks or last == first:
            last -= 1
        if first < last:
            marks[first], marks[last] = f"{activity} begin", f"{activity} end"
    return marks


def _write_truth(path: Path, planted: Sequence[Planted]) -> None:
    """Write each planted activity with its begin and end, also where no sensor saw it."""
    begins = _stamps([activity.begin for activity in planted])
    ends = _stamps([activity.end for activity in planted])
    with path.open("w", encoding="utf-8") as out:
        out.write("activity\tbegin\tend\n")
        for (activity, _, _), begin, end in zip(planted, begins, ends, strict=True):
            out.write(f"{cell(activity)}\t{begin}\t{end}\n")
