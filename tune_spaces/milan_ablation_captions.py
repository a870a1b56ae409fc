"""How many captions does a window want, and may their wording vary?

Guess: more wordings keep the projection from learning one by heart.
Held-out windows have their first caption only, the same for any number; in the other style they
are another gallery, so of `structured` the table tells no change: see `casas-ray probe`.
Cost: 28 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_captions
"""

from casas_ray.study import Arm, Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How many captions does a window want, and may their wording vary?",
    base=milan_baseline(),  # 4 natural ones are the base (2 in a quick study)
    arms=[
        *each("data.captions.per_window", [1, 8]),
        Arm("structured", {"data.captions.style": "structured"}),
    ],
    seeds=range(7),  # the fewest with which each of three arms can be better or worse
)
