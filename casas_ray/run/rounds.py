"""A study trained from data to comparison, once or with seeds added until its arms are decided."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from casas_ray.config import Machine, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError
from casas_ray.loader.set_facts import SetFacts
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.extension import take_up
from casas_ray.records.follow import Listener
from casas_ray.records.forecast import forecast, keep_forecast
from casas_ray.records.rule import DECIDES_FROM
from casas_ray.records.run_record import RunRecord, unsettled
from casas_ray.records.storage_mirror import bring, send
from casas_ray.records.study_folder import Asked
from casas_ray.records.study_record import StudyRecord
from casas_ray.report.table import study_table
from casas_ray.run.conclude import conclude
from casas_ray.run.gather import Steps, Watch, gather_study
from casas_ray.run.launch import run_study
from casas_ray.study import BASE_ARM, Study

_AT_A_TIME = 2
"""Seeds a round: every look at equivalence costs some of its error."""


@dataclass(frozen=True)
class Rounds:
    """Where studies are trained, and who hears of it."""

    machine: Machine
    tracking: Tracking
    watch: Watch
    stepping: Callable[[], AbstractContextManager[Steps]]
    listening: Callable[[Sequence[RunRecord], str], AbstractContextManager[Sequence[Listener]]]

    given: PreparedSet | None = None
    """The set that goes in place of the recipes' homes."""

    folder: Path | None = None
    """That of the study; None for the one that it has by its name."""

    halves: bool = False
    """Whether ASHA stops trials that do worse than others."""

    def __post_init__(self) -> None:
        if self.halves and (self.machine.seat == "debug" or self.machine.most_workers > 1):
            raise SettingsError(
                "--scheduler asha stops trials of one worker that run through Ray Tune; machine "
                f"{self.machine.name} has no such.",
                hint="--machine laptop, or leave --scheduler out.",
            )

    def train(
        self, study: Study, *, fresh: bool = False, extend: bool = False, most: int | None = None
    ) -> StudyRecord:
        """The record of a study of which every trial asked for has ended, its comparison kept.

        Raises:
            SettingsError, DataError, SetupError: it cannot start.
            RefusedError: another process is at work in its folder, or it was begun otherwise.
            ClusterError: Ray does not answer, or has no room for a trial.
        """
        with self.stepping() as steps:
            data = gather_study(study, self.machine, self.watch, steps, self.given)
        sets = [trial_data.prepared for trial_data in data]
        by_arm = {trial.arm: each for trial, each in zip(study.trials(), data, strict=True)}
        record, runs = take_up(
            Asked(study, self.tracking, sets, self.folder, fresh=fresh, extend=extend, most=most)
        )
        bring(self.machine, record.folder, [run.folder for run in runs])
        open_runs = [runs[index] for index in unsettled(runs)]
        if len(open_runs) < len(runs):
            done = len(runs) - len(open_runs)
            self.watch(
                f"{done} of {len(runs)} trials ended before; they stand (--fresh runs all again)."
            )
        if open_runs:
            self.watch(f"training {len(open_runs)} trials on machine {self.machine.name}")
            cells = [(run.arm, run.recipe.seed, run.recipe) for run in open_runs]
            keep_forecast(record.folder, forecast(cells, self.machine))
        with self.listening(open_runs, study.name) as listeners:
            open_data = [by_arm[run.arm] for run in open_runs]
            look = _first_look(open_runs, open_data) if self.halves and open_runs else 0
            run_study(record.folder, open_runs, self.machine, open_data, listeners, first_look=look)
        # Before an error for trials that failed: the results stand whatever follows.
        conclude(record, self.tracking, self.watch, is_news=bool(open_runs))
        # Those that ended before may have done so while the storage was away.
        before = [run.folder for run in runs if run not in open_runs]
        send(self.machine, [record.folder, *before])
        return record

    def until_decided(self, study: Study, most: int, *, fresh: bool = False) -> StudyRecord:
        """The record of a study that was given seeds until every arm is decided, or has `most`.

        An arm that is decided gets no more of them; the base gets all.

        Raises:
            SettingsError, DataError, SetupError, RefusedError, ClusterError: as for `train`.
        """
        first = study.with_seeds(max(DECIDES_FROM, len(study.seeds)))
        record = self.train(first, fresh=fresh, extend=not fresh, most=most)
        while True:
            table = study_table(record.results(), record.rule)
            undecided = [
                row.name for row in table.arms if row.decision and not row.decision.is_decided
            ]
            count = sum(arm == BASE_ARM for arm, _, _ in record.trials)
            further = study.with_seeds(max(count, most)).seeds[count:][:_AT_A_TIME]
            if not undecided or not further:
                return record
            self.watch(
                f"after {count} seeds {len(undecided)} of {len(study.arms)} arms are open; they "
                f"get {len(further)} more."
            )
            part = replace(study.with_arms(undecided), seeds=further)
            record = self.train(part, extend=True)


def _first_look(runs: Sequence[RunRecord], data: Sequence[TrainingData]) -> int:
    """The step at which the first of these trials looks at its validation days."""
    epochs = [
        SetFacts.of(each.prepared).sampler(run.recipe).steps_per_epoch
        for run, each in zip(runs, data, strict=True)
    ]
    return min([*epochs, *(run.recipe.optim.validate_every for run in runs)])
