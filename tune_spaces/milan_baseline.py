"""How well does the published baseline align Milan, and how much do its seeds differ?

Guess: they differ by a point; the studies that grow from it have to beat that.
Cost: 6 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_baseline
"""

from casas_ray.study import Study
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="How well does the published baseline align Milan, and how much do its seeds differ?",
    base=milan_baseline(),
    arms=[],  # nothing is compared: a lone arm has no verdict
    seeds=range(6),
)
