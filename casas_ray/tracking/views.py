"""Which mirrors of their ledgers runs ask for."""

from collections.abc import Sequence

from casas_ray.config import Tracking
from casas_ray.records.follow import Listener
from casas_ray.records.run_record import RunRecord


def tells_wandb(tracking: Tracking) -> bool:
    """Whether W&B hears of a run."""
    return tracking.mode != "disabled" and "wandb" in tracking.backend


def views_of(records: Sequence[RunRecord]) -> list[Listener]:
    """The mirrors that these runs' tracking settings, equal for all of them, ask for."""
    return views_as(records[0].tracking, records) if records else []


def views_as(tracking: Tracking, records: Sequence[RunRecord]) -> list[Listener]:
    """The mirrors that these settings ask for, of runs that may become more."""
    views: list[Listener] = []
    if tells_wandb(tracking):
        from casas_ray.tracking.wandb_mirror import WandbMirror  # seconds to import

        views.append(WandbMirror(records))
    if "tensorboard" in tracking.backend:
        from casas_ray.tracking.tensorboard import TensorBoardMirror

        views.append(TensorBoardMirror(records))
    if tracking.alerts.to:
        from casas_ray.tracking.alerts import Alerts

        views.append(Alerts(records, tracking))
    return views
