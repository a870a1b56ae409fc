"""A home's floor plan, as the events of its windows tell where sensors hang."""

# E events of windows

import numpy as np

from casas_ray.corpus.alignment import FIELD_PREFIX, flat
from casas_ray.evals.window_facts import UNKNOWN, WindowFacts
from casas_ray.report.floor_plan import FloorPlan, Spot

_BY_PLACE = (
    "Sensors where they hang; the area of a disc is the sensor's share of all events, a frame "
    "holds the sensors of a room."
)
_BY_ROOM = (
    "Nobody said where the sensors hang, so rooms are boxes, as strong as their share of events."
)


def floor_plan(facts: WindowFacts) -> FloorPlan:
    """Where the sensors of windows hang; of several homes only their rooms, which are no plan."""
    room_E = flat(facts.table, FIELD_PREFIX + "room").astype(np.int64)
    x_E, y_E = (flat(facts.table, axis).astype(np.float64) for axis in ("x", "y"))
    one_home = len(set(facts.homes.tolist())) == 1
    sensors, first = np.unique(facts.sensor_E, return_index=True)
    spots = []
    for sensor, row in zip(sensors.tolist(), first.tolist(), strict=True):
        xy = (float(x_E[row]), float(y_E[row]))
        placed = one_home and not np.isnan(xy).any()
        if facts.sensors[sensor] != UNKNOWN:
            room = facts.rooms[room_E[row]]
            spots.append(Spot(facts.sensors[sensor], room, xy if placed else None))
    return FloorPlan(sorted(spots, key=lambda spot: (spot.room, spot.sensor)))


def usual(facts: WindowFacts) -> dict[str, float]:
    """By sensor its share of all events."""
    counts = np.bincount(facts.sensor_E, minlength=len(facts.sensors))
    return dict(zip(facts.sensors, (counts / max(1, counts.sum())).tolist(), strict=True))


def said_of(plan: FloorPlan) -> str:
    """What the plan shows, in a sentence."""
    return _BY_PLACE if plan.is_drawn else _BY_ROOM
