"""Which fields of an event does alignment need?

Guess: the sensor most; the room, which the sensor tells already, not at all.
Cost: 56 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_fields
"""

from casas_ray.study import Arm, Study
from tune_spaces.bases import milan_baseline

_FIELDS = ("sensor", "room", "state", "sensor_type", "time_of_day", "time_gap", "day_of_week")
_EVERY = (*_FIELDS, "gap", "position")
_LEFT_OUT = {
    "no_sensor": {"sensor"},
    "no_place": {"room", "position"},
    "no_state": {"state"},
    "no_sensor_type": {"sensor_type"},
    "no_clock": {"time_of_day", "day_of_week"},
    "no_gaps": {"time_gap", "gap"},
}

STUDY = Study(
    question="Which fields of an event does alignment need?",
    base=milan_baseline().replace({"model.fields": _EVERY}),
    arms=[
        Arm(name, {"model.fields": tuple(field for field in _EVERY if field not in left_out)})
        for name, left_out in _LEFT_OUT.items()
    ],
    seeds=range(8),  # the fewest with which each of six arms can be better or worse
)
