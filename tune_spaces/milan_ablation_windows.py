"""How long should a window be, and should it end after so many events or so many seconds?

Guess: captions of longer windows say more, and are told apart more easily.
Other windows are another gallery, so the table tells no change between arms; `casas-ray probe` and
`casas-ray evaluate` compare what the vectors know of activities.
Cost: 18 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_windows
"""

from casas_ray.study import Arm, Study, each
from tune_spaces.bases import milan_baseline


def _lasting(seconds: float) -> Arm:
    kind = {"data.windows.kind": "fixed_duration", "data.windows.seconds": seconds}
    return Arm(f"{seconds:g}s", kind)


STUDY = Study(
    question="How long should a window be, in events or in seconds?",
    base=milan_baseline(),  # 20 events are the base, and run by themselves
    arms=[*each("data.windows.length", [10, 50]), *map(_lasting, [30.0, 60.0, 120.0])],
    seeds=(0, 1, 2),  # more would decide nothing here
)
