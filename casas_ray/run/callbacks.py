"""Ray's own hooks, through which trainings are mirrored: one of Tune's, and one of Train's.

Both hear what the recorder has kept: rows that stand in ledgers which it alone writes, never what
a worker says of itself. Both pass it on to the same mirrors, `tracking/`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.train import UserCallback
from ray.train._internal.session import _TrainingResult
from ray.tune.logger import LoggerCallback

from casas_ray.errors import SettingsError
from casas_ray.records.follow import Follower
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import PRUNED, RunResult, Status, checkpoint_folder
from casas_ray.tracking.views import views_of

log = logging.getLogger(__name__)

RecordOf = Callable[[str, Mapping[str, Any]], RunRecord]  # Any: what a parameter space holds
"""The run of a trial of Tune, by the trial's id and its parameters."""


class LedgerLoggerCallback(LoggerCallback):
    """Mirrors each trial to W&B and TensorBoard as its ledger has it, and lets Tune show of it what
    the study's table shows.

    It belongs into the `RunConfig` of a `Tuner`, where Ray's `WandbLoggerCallback` would stand.
    That one is not used: with a key it writes WANDB_API_KEY into a world-readable log; on Ctrl-C
    it can wait half an hour; it sends what workers claim, so that a trial which is taken up again
    sends its steps twice; and it sends host, paths and command line (docs/findings.md). Nor is
    `setup_wandb`, which under Train logs on every rank. Here each row goes once, whoever was killed
    when, and only what `tracking/privacy.py` lists.

    Tune's thread never waits for W&B: rows are passed on by the follower's.
    """

    def __init__(
        self,
        record_of: RecordOf,
        follower: Follower,
        recorder: Any,
        was_pruned: Callable[[str], bool] = lambda trial_id: False,
    ) -> None:
        # Any: Ray's handle of an actor has no type of its own.
        self._was_pruned = was_pruned
        self._record_of = record_of
        self._follower = follower
        self._recorder = recorder

    def __reduce__(self) -> tuple[type[LoggerCallback], tuple[()]]:
        """A Tuner pickles its callbacks for `Tuner.restore`, where none of this lives any more."""
        return _Lost, ()

    def log_trial_start(self, trial: Any) -> None:  # Any: Tune's own kind of trial is not public
        """As Tune has it; from here on the trial's ledger is followed."""
        self._record_of(trial.trial_id, trial.config)
        self._follower.look()

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """As Tune has it; what was reported stands in the ledger by now."""
        self._follower.look()

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """As Tune has it; a trial that was not let finish has an end in its ledger too."""
        record = self._record_of(trial.trial_id, trial.config)
        end: tuple[Status, str] = (
            ("failed", "its worker died, more often than is allowed")
            if failed
            else ("stopped", PRUNED if self._was_pruned(trial.trial_id) else "Tune stopped it")
        )
        try:
            ray.get(self._recorder.settle.remote(record.folder, *end))
        except RayError as error:  # then its ledger has no end, as of one that was killed
            log.info("the recorder does not answer: %s", error)
        _show_checkpoint(trial, record)
        self._follower.look()

    def on_trial_recover(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        **info: Any,  # Any: as above
    ) -> None:
        """As Tune has it; said in a line."""
        _tell_death(self._record_of(trial.trial_id, trial.config))


class _Lost(LoggerCallback):
    """What a restored Tuner has of a LedgerLoggerCallback."""

    def setup(self, *given: object, **info: object) -> None:
        raise SettingsError(
            "a restored Tuner has no LedgerLoggerCallback: it went with the process that made it.",
            hint="build a Tuner anew, in own_search of the same folder; runs there stand.",
        )


def _show_checkpoint(trial: Any, record: RunRecord) -> None:  # Any: as above
    """Let Tune's `Result.checkpoint` be the best of the trial, where it lies in the store.

    Not by `tune.report(checkpoint=)`: that copies the files once more, from the worker to Tune's
    storage, which a node without a shared disk does not reach. And not before the trial is over: a
    trial that is begun again elsewhere would look for it on that node's disk, and fail.
    """
    told = RunResult.read(record.folder)
    step = told.best_step
    folder = checkpoint_folder(record.folder, step) if step is not None else None
    if folder is not None and folder.is_dir():
        checkpoint = tune.Checkpoint.from_directory(folder)
        metrics = {**(trial.last_result or {}), **told.best(), "step": step}
        trial.on_checkpoint(_TrainingResult(checkpoint=checkpoint, metrics=metrics))


def _tell_death(record: RunRecord) -> None:
    log.warning("the worker of %s died; it goes on from its last checkpoint", record.name)


class LedgerUserCallback(UserCallback):
    """Mirrors a lone training to W&B and TensorBoard as its ledger has it.

    It belongs into the `RunConfig` of a `TorchTrainer`, whose controller calls it; so that process
    must lie beside the recorder, which it does, and W&B's key must be known there. Train has no
    hook for the end of a run: the mirrors are closed at the report that tells of it, which
    `own_trainer` makes after the ledger's last row stands. Of a run that fails for good there is
    none, and `casas-ray sync` sends what W&B lacks.

    `casas-ray train` needs no such hook: it follows the ledger itself, also when Ray dies.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._follower: Follower | None = None

    def after_report(
        self,
        run_context: object,
        metrics: Sequence[Mapping[str, Any]],  # Any: what was reported
        checkpoint: object,
    ) -> None:
        """As Train has it: called in its controller, which waits meanwhile."""
        if self._follower is None:
            self._follower = Follower([self._record.folder], views_of([self._record]))
            self._follower.__enter__()
        self._follower.look()
        if "status" in metrics[0]:
            self._follower.__exit__(None, None, None)
            self._follower = None

    def after_exception(self, run_context: object, worker_exceptions: object) -> None:
        """As Train has it; said in a line."""
        _tell_death(self._record)
