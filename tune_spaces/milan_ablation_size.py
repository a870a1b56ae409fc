"""How large must the encoder be?

Guess: one home is learned by a small one; what is larger than the published size only costs.
The base of a quick study is the tiny one; on a CPU take `--arms micro,small` with it.
Cost: 40 trainings; up to two hours each on two CPU cores, minutes on a GPU.
Run: casas-ray tune milan_ablation_size
"""

from casas_ray.config import SIZES
from casas_ray.study import Arm, Study
from tune_spaces.bases import milan_baseline

_MICRO = {"width": 96, "layers": 2, "heads": 3, "feed_forward": 384}
_ARMS = {"micro": _MICRO, **{name: SIZES[name] for name in ("small", "medium", "large")}}

STUDY = Study(
    question="How large must the encoder be?",
    base=milan_baseline(),  # 512 wide, 4 layers
    arms=[
        Arm(size, {f"model.{name}": value for name, value in parts.items()})
        for size, parts in _ARMS.items()
    ],
    seeds=range(8),  # the fewest with which each of four arms can be better or worse
)
