"""Does another text tower align better, and how much of a caption must it read?

Guess: a caption's first eight tokens say when, the rest where; a larger tower adds little.
The captions are the same, so arms compare. `larger` comes from the hub, once; where there is none:
`--arms max_tokens=8,max_tokens=16`.
Cost: 28 trainings; about an hour each on two CPU cores, minutes on a GPU. Try `--quick` first.
Run: casas-ray tune milan_ablation_text
"""

from casas_ray.study import Arm, Study, each
from tune_spaces.bases import milan_baseline

STUDY = Study(
    question="Does another text tower align better, and how much of a caption must it read?",
    base=milan_baseline(),  # minilm-l6, up to 128 tokens
    arms=[
        *each("text.max_tokens", [8, 16]),
        Arm("larger", {"text.model": "sentence-transformers/all-mpnet-base-v2"}),
    ],
    seeds=range(7),  # the fewest with which each of three arms can be better or worse
)
