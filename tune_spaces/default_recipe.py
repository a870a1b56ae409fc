"""Which recipe should be the default on a machine without a GPU?

The arms are what was left after a screening of seventeen settings (docs/findings.md);
`milan_baseline` stands among them with its published values.
"""

from casas_ray.config import SIZES
from casas_ray.study import Arm, Study
from tune_spaces.bases import milan_baseline, milan_tiny

_published = milan_baseline()

STUDY = Study(
    question="Which recipe should be the default on a machine without a GPU?",
    base=milan_tiny().replace(
        {"optim.epochs": 12, "optim.learning_rate": 5e-4, "model.dropout": 0.1}
    ),
    seeds=(0, 1, 2),
    arms=[
        Arm(
            "milan_baseline",
            {f"model.{name}": value for name, value in SIZES["baseline"].items()}
            | {
                "optim.epochs": _published.optim.epochs,
                "optim.learning_rate": _published.optim.learning_rate,
                "model.dropout": _published.model.dropout,
            },
        ),
        Arm("no_dropout", {"model.dropout": 0.0}),
        Arm("rate=1e-3", {"optim.learning_rate": 1e-3}),
        Arm("no_mlm", {"loss.mlm_weight": 0.0}),
    ],
)
