"""Does one encoder of two homes serve each as well as an encoder of its own, and a third home?

Guess: a little worse at home, since sensors of two homes share nothing, and far worse in the third.
Each arm is judged on the days of its own homes, so the table has no verdicts; `casas-ray evaluate`
judges each on its test days, which are those of the third home where one is left out.
Cost: 12 trainings; an hour and more each on two CPU cores. Try `--quick` first.
Run: casas-ray tune multi_dataset
"""

from casas_ray.study import Arm, Study
from tune_spaces.bases import multi_dataset

STUDY = Study(
    question="Does one encoder of two homes serve each as well as its own, and a third home?",
    base=multi_dataset(),  # milan and aruba
    arms=[
        Arm("only_milan", {"data.homes": ("milan",)}),
        Arm("only_aruba", {"data.homes": ("aruba",)}),
        Arm(
            "third_home",
            {
                "data.homes": ("milan", "aruba", "cairo"),
                "data.split.kind": "leave_home_out",
                "data.split.held_out": "cairo",
            },
        ),
    ],
    seeds=(0, 1, 2),
)
