"""At what temperature should the contrast start?

Guess: a learnable temperature forgets its start, so the arms end close together.
Cost: 40 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_temperature
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="At what temperature should the contrast start?",
    base=milan_baseline(),  # 0.03 is the base, and runs by itself
    arms=each("loss.temperature_init", [0.02, 0.05, 0.07, 0.1]),
    seeds=range(8),  # the fewest with which each of four arms can be better or worse
)
