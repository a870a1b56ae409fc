"""One training in this very process, without Ray: breakpoints and debuggers work."""

import functools

import torch

from casas_ray.config import Machine
from casas_ray.errors import AllFailed
from casas_ray.files import shown
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore, RunStore
from casas_ray.training import memory
from casas_ray.training.context import WorkerContext
from casas_ray.training.loop import train_to_the_end
from casas_ray.training.recorder import RunRecorder
from casas_ray.training.signals import StopSignal


def train_here(record: RunRecord, machine: Machine, data: TrainingData) -> None:
    """Train a run to its end, from its last checkpoint when it has one.

    Raises:
        AllFailed: it diverged.
        KeyboardInterrupt, Terminated: a signal asked it to stop; it did, at the end of its step.
    """
    device = torch.device("cuda" if machine.gpus_per_worker else "cpu")
    prepare_process(machine)
    open_loader = functools.partial(data.loader, record.recipe, device)
    with StopSignal() as stop:
        context = WorkerContext(is_asked_to_stop=stop.is_asked)
        recorder = recorder_for(record, machine, context, FolderStore(record.folder))
        train_to_the_end(recorder, record.recipe, open_loader)
    require_finished(record)


def prepare_process(machine: Machine) -> None:
    """Give this process the threads of one worker, and let it keep the memory that it frees."""
    torch.set_num_threads(machine.threads)
    memory.keep_freed()


def recorder_for(
    record: RunRecord, machine: Machine, context: WorkerContext, store: RunStore
) -> RunRecorder:
    """The recorder of one worker of a run, as the run's tracking settings ask."""
    tracking = record.tracking
    return RunRecorder(
        store,
        context,
        log_every=tracking.log_every,
        keep_checkpoints=machine.keep_checkpoints,
        watch_every=tracking.watch_every,
        parameter_histograms=tracking.log_parameters,
        gradient_histograms=tracking.log_gradients,
        shows_graph=tracking.log_graph,
        code=record.code,
    )


def require_finished(record: RunRecord) -> None:
    """Refuse to go on unless the run's ledger says that it finished.

    Raises:
        AllFailed: it diverged or stopped.
    """
    result = RunResult.read(record.folder)
    if result.status != "finished":
        raise AllFailed(
            f"run '{record.name}' ended as {result.status}: "
            f"{result.error or 'for no known reason'}",
            hint=f"its ledger is in {shown(record.folder)}",
        )
