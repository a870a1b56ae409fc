"""What should be done with windows of a batch whose captions are equal or nearly so?

Guess: rule captions repeat, so pushing their windows apart costs recall; sharing the target gains.
Cost: 28 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_positives
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="What should be done with pairs of a batch whose captions are equal or nearly so?",
    base=milan_baseline(),  # they are pushed apart like any other
    arms=[*each("loss.duplicates", ["ignored", "shared"]), *each("loss.soft_targets", [0.2])],
    seeds=range(7),  # the fewest with which each of three arms can be better or worse
)
