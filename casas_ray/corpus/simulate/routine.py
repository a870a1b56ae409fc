"""A resident's weekly routine in a home: which activities, when, where, for how long."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from casas_ray.config.base import Settings
from casas_ray.corpus.homes import Home
from casas_ray.errors import DataError
from casas_ray.files import read_toml
from casas_ray.paths import drawer_file

_SPREAD_HOURS = 0.45
_SPREAD_LENGTH = 0.4
"""Standard deviation of the logarithm of a length."""

_TOO_LATE_HOURS = 1.5
_THING_WEIGHT = 4.0


class Habit(Settings):
    """An activity of the week; see data/routines/adult.toml."""

    activity: str
    rooms: tuple[str, ...]
    things: tuple[str, ...] = ()
    hours: tuple[float, float]
    minutes: float
    every: float
    chance: tuple[float, float]
    away: bool = False
    """The resident leaves through a door and comes back."""

    everywhere: bool = False
    """In all of the rooms, not the first that the home has."""

    all_night: bool = False
    """Sleep: may be interrupted, and is never left out for being late."""


class Routine(Settings):
    """The habits of a week, and what happens besides."""

    habits: tuple[Habit, ...]
    nights_out: float = 0.0
    visits: tuple[float, float] = (0.0, 0.0)
    pet_moves: float = 0.0
    names: dict[str, dict[str, str]] = Field(default_factory=dict)


def load_routine(name: str = "adult") -> Routine:
    """A routine from the drawer `data/routines`.

    Raises:
        DataError: there is none, or it is no TOML.
    """
    path = drawer_file("data/routines", ".toml", name)
    if path is None:
        raise DataError(f"no routine '{name}' is installed.", hint="install casas-ray again.")
    return Routine.build(read_toml(path))


@dataclass(frozen=True)
class FloorPlan:
    """Where a home's motion sensors hang, and which doors lead out."""

    names: tuple[str, ...]
    rooms: tuple[str, ...]
    things: tuple[str, ...]
    xy: NDArray[np.float64]
    doors: tuple[str, ...]

    @classmethod
    def of(cls, home: Home) -> "FloorPlan":
        """The plan of a home.

        Raises:
            DataError: its facts have no rooms or no positions, so that nobody can walk in it.
        """
        motion = {
            name: sensor
            for name, sensor in home.sensors.items()
            if sensor.type == "motion" and sensor.xy and sensor.room != "unknown"
        }
        if len(motion) < 3:
            raise DataError(
                f"home '{home.home}' cannot be simulated: too few motion sensors with a room and a "
                "position.",
                hint="homes that can: milan, aruba, cairo, tulum.",
            )
        doors = [name for name, sensor in home.sensors.items() if "door" in sensor.type]
        entrances = [name for name in doors if "entr" in home.sensors[name].room + name]
        return cls(
            names=tuple(motion),
            rooms=tuple(sensor.room for sensor in motion.values()),
            things=tuple(sensor.near.lower() for sensor in motion.values()),
            xy=np.array([sensor.xy for sensor in motion.values()], dtype=np.float64),
            doors=tuple(entrances or doors),
        )

    def weights(self, habit: Habit) -> NDArray[np.float64] | None:
        """The chance of each motion sensor to see a movement of the habit; None if no room fits.

        The room is the one with the habit's things in it, else the first of its rooms that the home
        has; all of its rooms when it goes everywhere.
        """
        near = np.array([any(thing in text for thing in habit.things) for text in self.things])
        fitting = [
            np.array([word in room for room in self.rooms], dtype=bool) for word in habit.rooms
        ]
        everywhere = np.any(fitting, axis=0)
        if not everywhere.any():
            return None
        if habit.everywhere:
            room = everywhere
        else:
            ranked = [fits for fits in fitting if (fits & near).any()] or fitting
            room = next(fits for fits in ranked if fits.any())
        weight = room * np.where(near, _THING_WEIGHT, 1.0)
        return weight / weight.sum()

    def way(self, start: int, goal: int) -> list[int]:
        """The indices of sensors near the straight line from one to another, in walking order."""
        line = self.xy[goal] - self.xy[start]
        length = float(np.hypot(*line)) or 1.0
        along = (self.xy - self.xy[start]) @ line / length
        aside = np.abs((self.xy - self.xy[start]) @ np.array([-line[1], line[0]]) / length)
        width = 0.1 * float(np.ptp(self.xy, axis=0).max())
        near = np.flatnonzero((along > 0) & (along < length) & (aside < width))
        return near[np.argsort(along[near])].tolist()


@dataclass(frozen=True)
class Episode:
    """One time that an activity takes place."""

    habit: Habit
    activity: str
    begin: float
    """Seconds since the first midnight."""

    end: float


@dataclass
class Calendar:
    """The episodes of a resident, in time order and without overlap."""

    episodes: list[Episode] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        routine: Routine,
        plan: FloorPlan,
        home: str,
        *,
        days: int,
        first_weekday: int,
        rng: np.random.Generator,
        late_by: float = 0.0,
        mark: str = "",
    ) -> "Calendar":
        """The drawn episodes of so many days; `late_by` hours later than the routine says."""
        calendar = cls()
        names = routine.names.get(home, {})
        habits = [habit for habit in routine.habits if plan.weights(habit) is not None]
        for day in range(days):
            weekend = int((first_weekday + day) % 7 >= 5)
            sleeps_out = bool(rng.random() < routine.nights_out)
            # Habits draw in the order of their file: another order is another log of the same seed.
            drawn = [
                (24.0 * day + habit.hours[weekend] + late_by + _SPREAD_HOURS * rng.normal(), habit)
                for habit in habits
                if rng.random() < habit.chance[weekend]
            ]
            for hour, habit in sorted(drawn, key=lambda pair: pair[0]):
                if not (sleeps_out and hour > 24.0 * day + 20.0):
                    label = mark + names.get(habit.activity, habit.activity)
                    calendar._add(habit, label, hour, rng)
        return calendar

    def _add(self, habit: Habit, label: str, hour: float, rng: np.random.Generator) -> None:
        length = 60.0 * habit.minutes * float(np.exp(_SPREAD_LENGTH * rng.normal()))
        if habit.all_night:
            length = 60.0 * habit.minutes + 2400.0 * rng.normal()
        wanted = 3600.0 * hour
        last = self.episodes[-1] if self.episodes else None
        if last and last.habit.all_night and last.begin < wanted < wanted + length < last.end:
            # Up for a while, and back to bed.
            self.episodes[-1] = replace(last, end=wanted - 20.0)
            self.episodes.append(Episode(habit, label, wanted, wanted + length))
            self.episodes.append(replace(last, begin=wanted + length + 20.0))
            return
        begin = max(wanted, (last.end if last else 0.0) + rng.uniform(15.0, 240.0))
        if begin < wanted + 3600.0 * _TOO_LATE_HOURS or habit.all_night:
            self.episodes.append(Episode(habit, label, begin, begin + length))
