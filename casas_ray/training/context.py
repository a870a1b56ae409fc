"""A worker's context: which of how many it is, who besides the ledger hears of its metrics, and
whether it is to stop."""

from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[[dict[str, float]], None]
"""Takes the metrics of one validation."""


def report_to_nobody(metrics: dict[str, float]) -> None:
    """Does nothing: for a worker that nobody listens to, as in a debugger."""


def never() -> bool:
    """False: for a worker that nobody will ask to stop."""
    return False


@dataclass(frozen=True)
class WorkerContext:
    """One worker of a training, in the words of torch.distributed."""

    rank: int = 0
    world_size: int = 1

    report: Report = report_to_nobody
    """Passes validation metrics to Ray Train or Tune. Under Train it is a barrier: every worker
    calls it equally often."""

    is_asked_to_stop: Callable[[], bool] = never
    """Asked at the end of each step. Workers may hear of it at unlike steps."""
