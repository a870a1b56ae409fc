"""What must the encoder see of a sensor so that it serves a home it never saw?

Guess: its description carries over; its name, which no other home has, does not.
Validation days are those of the homes that train, so verdicts say what it costs at home;
`casas-ray evaluate` tells what it gains in the home that was left out.
Cost: 21 trainings; an hour and more each on two CPU cores. Try `--quick` first.
Run: casas-ray tune home_transfer
"""

from casas_ray.study import Arm, Study
from tune_spaces.bases import multi_dataset

_WITHOUT_SENSOR = ("room", "state", "sensor_type", "time_of_day", "time_gap", "gap", "position")

STUDY = Study(
    question="What must the encoder see of a sensor so that it serves a home it never saw?",
    base=multi_dataset().replace(
        {
            "data.homes": ("milan", "aruba", "cairo"),
            "data.split.kind": "leave_home_out",
            "data.split.held_out": "cairo",
        }
    ),
    arms=[
        Arm("described", {"model.sensor_text": True}),
        Arm("no_sensor", {"model.fields": _WITHOUT_SENSOR}),
    ],
    seeds=range(7),  # the fewest with which each of two arms can be better or worse
)
