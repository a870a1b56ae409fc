"""Six made-up days of a home, and the ways in which logs write them down."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from casas_ray.corpus.clean import Cleaned, clean
from casas_ray.corpus.events import NO_ACTIVITY
from casas_ray.corpus.log import read_log
from casas_ray.corpus.raw_log import RawLog
from support.recipes import REAL_LOG

CASES = REAL_LOG.parents[2] / "cases"
DROPPED = ("temperature", "battery", "light_level")
_PLAN = (
    (1, "Sleep", ["M001"], 8),
    (7, "Bathe", ["M002"], 8),
    (8, "Cook", ["M003", "D001"], 12),
    (12, "Relax", ["M004"], 8),
    (18, "Cook", ["M003", "D001"], 10),
    (21, "Watch_TV", ["M004", "M005"], 10),
)
EVENTS, ACTIVITIES = 336, 36
STAMP = "%Y-%m-%d %H:%M:%S.%f"


class Told(NamedTuple):
    """An event of the story."""

    time: datetime
    sensor: str
    state: str
    activity: str
    mark: str
    """begin, end, or nothing."""

    @property
    def annotation(self) -> str:
        """`Sleep begin`, or nothing."""
        return f"{self.activity} {self.mark}" if self.mark else ""


def story(seed: int = 1, start: datetime = datetime(2016, 3, 7)) -> list[Told]:
    """336 events of 6 sensors in 36 activities, every event within one."""
    rng = random.Random(seed)
    told = []
    for day in range(6):
        for hour, activity, sensors, count in _PLAN:
            time = start + timedelta(days=day, hours=hour, minutes=rng.randrange(20))
            time += timedelta(microseconds=rng.randrange(10**6))
            for place in range(count):
                sensor = sensors[place // 2 % len(sensors)]
                states = ("ON", "OFF") if sensor[0] == "M" else ("OPEN", "CLOSE")
                mark = "begin" if place == 0 else "end" if place == count - 1 else ""
                told.append(Told(time, sensor, states[place % 2], activity, mark))
                step = timedelta(seconds=rng.randrange(2, 90), microseconds=rng.randrange(10**6))
                time += step
    return told


def classic(told: Told) -> str:
    """A line of the classic form."""
    tail = f"\t{told.annotation}" if told.mark else ""
    return f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}{tail}"


def lines(write: Callable[[Told], str] = classic, told: Sequence[Told] | None = None) -> str:
    """The story in some form."""
    return "".join(f"{write(each)}\n" for each in (story() if told is None else told))


def read(path: Path) -> tuple[RawLog, Cleaned]:
    """A log read and cleaned without facts of its home; each line of it is used or set aside."""
    log = read_log(path)
    cleaned = clean(log, None, name="here", drop_types=DROPPED)
    assert len(cleaned.events) + len(log.rejected) + len(cleaned.dropped) == log.total
    assert (cleaned.events.time_us[1:] >= cleaned.events.time_us[:-1]).all()
    return log, cleaned


def labels_of(cleaned: Cleaned) -> list[str]:
    """The label of each event."""
    return [cleaned.events.label.names[code] for code in cleaned.events.label.codes]


def unlabelled(cleaned: Cleaned) -> int:
    """Events without an activity."""
    return labels_of(cleaned).count(NO_ACTIVITY)
