"""How much masked-event modelling does alignment want?

Guess: retrieval rises, then falls as the weight grows.
Cost: 30 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_mlm
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How much masked-event modelling does alignment want?",
    base=milan_baseline(),  # 0.3 is the base, and runs by itself
    arms=each("loss.mlm_weight", [0.0, 0.1, 0.5, 1.0]),
    seeds=range(6),  # the fewest that can say that a difference does not matter
)
