"""What of reading around a window carries its activity?

Guess: the time of day as numbers and the aggregates loss carry windows alone, the past adds to
clusters, and the state token little beyond one home. Activities are judged afterwards, by
`casas-ray probe` and `casas-ray cluster` of the trials; the table of the study is of retrieval.

Cost: 64 trainings; about a minute each of one core on a home of 5,600 windows. Try `--quick` first.
Run: casas-ray tune milan_ablation_context
"""

from casas_ray.study import Arm, Study
from tune_spaces.bases import context

_ALONE = {
    "data.context.side": "none",
    "data.context.windows": 1,
    "model.state_token": False,
}

STUDY = Study(
    question="What of reading around a window carries its activity?",
    base=context(),
    seeds=range(8),  # six of the seven arms can be told; nine seeds tell all
    arms=[
        Arm("alone", _ALONE),
        Arm("both_sides", {"data.context.side": "both"}),
        Arm("no_state", {"model.state_token": False}),
        Arm("no_harmonics", {"model.time_harmonics": 0}),
        Arm("no_aggregates", {"loss.aggregates_weight": 0.0}),
        Arm("no_neighbours", {"loss.neighbours_weight": 0.0}),
        Arm("no_captions", {"loss.clip_weight": 0.0}),
    ],
)
