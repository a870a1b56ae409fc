"""Ray Tune's ASHA over a study's trials, which knows what earlier commands of the study saw: its
state is read off the ledgers, and so survives whatever ends the command."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from casas_ray.records.ledger import LEDGER
from casas_ray.records.rule import METRIC
from casas_ray.records.run_result import RunResult

_NEVER = 10**12
"""Steps that no training has: ASHA stops whoever reaches `max_t`, a run in its last step too."""

_KEEPS_ONE_IN = 3


class Halving(ASHAScheduler):
    """Stops a trial that at a rung (the first look at the validation days, three times its steps,
    nine times, ...) is not among the best third of all that came so far."""

    def __init__(self, first_look: int) -> None:
        super().__init__(
            time_attr="step",
            metric=METRIC,
            mode="max",
            grace_period=first_look,
            max_t=_NEVER,
            reduction_factor=_KEEPS_ONE_IN,
        )
        self._stopped: set[str] = set()

    def on_trial_result(
        self,
        tune_controller: Any,
        trial: Any,
        result: dict[str, Any],  # Any: Ray's
    ) -> str:
        """As ASHA has it; who is stopped is remembered."""
        # What ends by itself reports its best step once more, which is of no rung.
        if "status" in result:
            return TrialScheduler.CONTINUE
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP:
            self._stopped.add(trial.trial_id)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """As ASHA has it, but that a trial's last report was heard while it ran."""

    def was_pruned(self, trial_id: str) -> bool:
        """Whether this stopped the trial."""
        return trial_id in self._stopped


def halving(first_look: int, folder: Path, to_train: Sequence[Path]) -> Halving:
    """The scheduler of a study in a folder, with what the ledgers of its other trials say."""
    made = Halving(first_look)
    nobody: Any = None  # and of its controller nothing
    others = [path.parent for path in folder.glob(f"*/{LEDGER}") if path.parent not in to_train]
    for run in sorted(others):
        stub: Any = SimpleNamespace(trial_id=str(run))  # of a trial Ray reads the id alone
        made.on_trial_add(nobody, stub)
        for row in RunResult.read(run).rows:
            value = row["metrics"].get(METRIC) if row["event"] == "metrics" else None
            if row["step"] and isinstance(value, float):
                made.on_trial_result(nobody, stub, {"step": row["step"], METRIC: value})
    return made
