"""How many pairs should a step contrast?

Guess: more negatives are better per step, but epochs stay as they are, so there are fewer steps.
Cost: 28 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_batch
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How many pairs should a step contrast?",
    base=milan_baseline(),  # 64 is the base, and runs by itself
    arms=each("optim.batch_size", [32, 128, 256]),
    seeds=range(7),  # the fewest with which each of three arms can be better or worse
)
