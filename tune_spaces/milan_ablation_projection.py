"""How should windows and captions be projected into the space that they share?

Guess: a hidden layer helps little, for the encoder below it can learn the same; 128 numbers do.
Cost: 28 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_projection
"""

from casas_ray.study import Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How should windows and captions be projected into the space that they share?",
    base=milan_baseline(),  # linear, into 512
    arms=[*each("model.projection", ["mlp"]), *each("model.embedding", [128, 256])],
    seeds=range(7),  # the fewest with which each of three arms can be better or worse
)
