"""Which contrastive loss aligns best?

Guess: at batches of 64 a sigmoid a pair does as well as InfoNCE; the focal factor changes little.
Cost: 21 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_loss
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="Which contrastive loss aligns best?",
    base=milan_baseline(),  # infonce is the base, and runs by itself
    arms=each("loss.kind", ["sigmoid", "focal"]),
    seeds=range(7),  # the fewest with which each of two arms can be better or worse
)
