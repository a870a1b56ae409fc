"""Start trainings where a machine says, with whoever listens to their ledgers."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from casas_ray.config import Machine
from casas_ray.errors import AllFailed, ClusterError, Terminated
from casas_ray.files import shown
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.follow import Follower, Listener
from casas_ray.records.ledger import Ledger
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import own
from casas_ray.records.provenance import code_state, snapshot
from casas_ray.records.run_record import RunRecord, claim
from casas_ray.records.run_result import RunResult, Status
from casas_ray.records.storage_mirror import copied, send
from casas_ray.run.environment import prepare_environment
from casas_ray.training.local import require_finished, train_here

_DIED = "its worker died, more often than machine.max_failures allows"


def run_study(
    folder: Path,
    records: Sequence[RunRecord],
    machine: Machine,
    data: Sequence[TrainingData],
    listeners: Sequence[Listener],
    *,
    first_look: int = 0,
) -> None:
    """Train these trials of the study in a folder; `data` has one entry a record.

    A trial that fails or diverges raises nothing: its ledger says so. With a `first_look` ASHA
    stops trials from that step on.

    Raises:
        RefusedError: another process is at work in the folder.
        ClusterError: Ray does not answer, or has no room for a trial.
    """
    if not records:
        return
    # Left in the other order: the last rows are passed on before the folder is anybody's again.
    folders = [record.folder for record in records]
    with (
        locked(folder),
        copied(machine, folders) as copies,
        Follower(folders, [*listeners, *copies]) as follower,
    ):
        records = _coded(records)
        for record in records:
            record.write()
        if records[0].tracking.code_snapshot:
            snapshot(folder)
        if machine.seat == "debug":
            _one_by_one(records, machine, data)
        else:
            _through_tune(records, machine, data, folder, follower, first_look)


def _one_by_one(
    records: Sequence[RunRecord], machine: Machine, data: Sequence[TrainingData]
) -> None:
    for record, trial_data in zip(records, data, strict=True):
        with contextlib.suppress(Exception):  # the ledger holds it, and the table shows it
            train_here(record, machine, trial_data)


def _through_tune(
    records: Sequence[RunRecord],
    machine: Machine,
    data: Sequence[TrainingData],
    folder: Path,
    follower: Follower,
    first_look: int,
) -> None:
    prepare_environment(machine)
    from casas_ray.run.attend import Bell, attended  # ray takes seconds to import

    def work(bell: Bell) -> None:
        from casas_ray.run.shared_data import shared_by_trials
        from casas_ray.run.trainer import wired
        from casas_ray.run.tuner import run_trials

        wires = wired(bell, machine, folder)
        shared = shared_by_trials(data, [record.recipe for record in records], machine)
        run_trials(records, machine, shared, folder, wires, follower, first_look)

    with _ends_told(records):
        attended(machine, work)


def run_training(
    record: RunRecord, machine: Machine, data: TrainingData, listeners: Sequence[Listener]
) -> RunResult:
    """What a run's ledger says after training it, in a TorchTrainer or in this process.

    It goes on where it was stopped; a run that has finished is not trained again.

    Raises:
        RefusedError: its folder holds a run of another recipe or what is not ours, or is in use.
        AllFailed: it failed or diverged.
        ClusterError: Ray does not answer, or has no room for the run.
    """
    own(record.folder)
    with locked(record.folder):
        claim(record)
        (record,) = _coded([record])
        if RunResult.read(record.folder).status != "finished":
            if record.tracking.code_snapshot:
                snapshot(record.folder)
            with (
                copied(machine, [record.folder]) as copies,
                Follower([record.folder], [*listeners, *copies]),
            ):
                if machine.seat == "debug":
                    train_here(record, machine, data)
                else:
                    _through_trainer(record, machine, data)
        else:
            # It may have ended while the storage was away.
            send(machine, [record.folder])
        return RunResult.read(record.folder)


def _through_trainer(record: RunRecord, machine: Machine, data: TrainingData) -> None:
    prepare_environment(machine)
    from casas_ray.run.attend import Bell, attended  # ray takes seconds to import

    def work(bell: Bell) -> None:
        from casas_ray.run.shared_data import SharedData
        from casas_ray.run.trainer import run_in_trainer, wired

        wires = wired(bell, machine, record.folder)
        shared = SharedData.of_trainer(data, record.recipe, machine)
        try:
            run_in_trainer(record, machine, shared, wires)
        except Exception as error:  # Ray has no common base for what it raises (docs/findings.md)
            raise _failed(record, error) from error
        if RunResult.read(record.folder).status != "stopped":
            require_finished(record)

    with _ends_told([record]):
        attended(machine, work)


def _failed(record: RunRecord, error: Exception) -> AllFailed:
    reason = RunResult.read(record.folder).error or _last_line(error)
    return AllFailed(
        f"run '{record.name}' failed: {reason}",
        hint=f"its ledger and last checkpoint are in {shown(record.folder)}; the same command goes "
        "on from there. --debug shows the worker's traceback.",
    )


def _last_line(error: Exception) -> str:
    # Where Ray's own errors say what the worker's was.
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


@contextlib.contextmanager
def _ends_told(records: Sequence[RunRecord]) -> Iterator[None]:
    """Every ledger has an end after the block, also of a run whose worker could write none."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        _tell_ends(records, "stopped", "its worker did not stop in time")
        raise
    except ClusterError as error:
        _tell_ends(records, "stopped", error.problem)
        raise
    except BaseException:
        _tell_ends(records, "failed", _DIED)
        raise
    _tell_ends(records, "failed", _DIED)


def _tell_ends(records: Sequence[RunRecord], status: Status, error: str) -> None:
    for record in records:
        result = RunResult.read(record.folder)
        if result.status == "running":
            Ledger(record.folder).append("end", result.step, status=status, error=error)


def _coded(records: Sequence[RunRecord]) -> list[RunRecord]:
    # Here, once: workers are elsewhere, and a study's trials must not each see another moment.
    code = code_state()
    return [replace(record, code=code) for record in records]
