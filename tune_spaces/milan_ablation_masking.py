"""How much of a window should be masked, and in how long spans?

Guess: a third to a half; single events are guessed from their neighbours, and teach little.
Cost: 40 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_masking
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How much of a window should be masked, and in how long spans?",
    base=milan_baseline(),  # 0.3 in spans of 5 events is the base, and runs by itself
    arms=[*each("masking.share", [0.15, 0.5, 0.75]), *each("masking.mean_span", [1.0])],
    seeds=range(8),  # the fewest with which each of four arms can be better or worse
)
