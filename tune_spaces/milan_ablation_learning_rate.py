"""How fast may the encoder learn in the epochs that it has?

Guess: five times as fast is better where epochs are few, four times as slow is worse.
Cost: 21 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_learning_rate
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How fast may the encoder learn in the epochs that it has?",
    base=milan_baseline(),  # 2e-4 is the base, and runs by itself
    arms=each("optim.learning_rate", [5e-5, 1e-3]),
    seeds=range(7),  # the fewest with which each of two arms can be better or worse
)
