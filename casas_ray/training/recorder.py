"""What a worker records of a run: ledger rows and checkpoints, its only way out."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from casas_ray.records.checkpoints import About
from casas_ray.records.ledger import finite, new_row
from casas_ray.records.provenance import UNKNOWN_CODE, Code
from casas_ray.records.rows import Status
from casas_ray.records.run_store import RunStore
from casas_ray.training import checkpoint
from casas_ray.training.context import WorkerContext
from casas_ray.training.histograms import histograms, structure
from casas_ray.training.step import TrainState
from casas_ray.training.system import system_metrics
from casas_ray.training.timer import StepTimer

Metrics = Mapping[str, "Tensor | float"]
"""Scalars by name; tensors may still lie on the device."""


@dataclass
class RunRecorder:
    """Gives a run's rows and checkpoints to its store on rank 0; on other ranks it only reports to
    Ray."""

    store: RunStore
    context: WorkerContext = field(default_factory=WorkerContext)
    log_every: int = 50
    keep_checkpoints: int = 2
    watch_every: int = 100
    parameter_histograms: bool = False
    gradient_histograms: bool = False
    shows_graph: bool = False
    """Whether the parts of the model are recorded."""

    code: Code = field(default_factory=lambda: UNKNOWN_CODE)
    """Which code this is, as the driver found it."""

    timer: StepTimer = field(default_factory=StepTimer)
    _last_loss: float = float("nan")
    _last_step: int = 0
    _kept_step: int = 0
    """The step of the newest checkpoint."""

    def begin(self, state: TrainState, info: Mapping[str, object]) -> None:
        """Record what starts, or from where it goes on."""
        # The row makes readers drop what the ledger has beyond this step: a resume does that again.
        self.timer.start(state.step)
        if self.context.rank == 0:
            self.store.begin(state.step)
        self._kept_step = state.step
        self._append("start", state.step, info=dict(info))
        if self.shows_graph:
            self._append("graph", state.step, modules=structure(state.model))

    def wants_log(self, step: int) -> bool:
        """Whether the training metrics of this step are recorded."""
        return step % self.log_every == 0

    def report(
        self, step: int, metrics: Metrics, *, checkpoint_of: TrainState | None = None
    ) -> None:
        """Record metrics; with a state, save it as a checkpoint too and report them to Ray."""
        # Here a GPU is waited for: so only every `log_every` steps, not at each.
        numbers = {name: float(value) for name, value in metrics.items()}
        self._last_loss = numbers.get("val/total_loss", self._last_loss)
        self._append("metrics", step, metrics=finite(numbers))
        if checkpoint_of is not None:
            self._checkpoint(checkpoint_of, numbers["val/total_loss"])
            # Every rank, after the checkpoint: under Ray Train this is a barrier, and a trial that
            # Tune stops here must have left what it can be taken up from.
            self.context.report({"step": step, **numbers})

    def _checkpoint(self, state: TrainState, loss: float) -> None:
        # The ledger goes first: a run killed in between resumes from the checkpoint before, and
        # what the ledger says beyond that is dropped then.
        self._append("checkpoint", state.step, is_best=state.is_best_now)
        self._kept_step = state.step
        if self.context.rank == 0:
            saved = self._save(state)
            if state.is_best_now:
                self._record_model("best", saved, state.step, loss)

    def _save(self, state: TrainState) -> About:
        fill = functools.partial(checkpoint.write, state)
        best = int(state.best.get("step", -1))
        return self.store.save(state.step, fill, keep=self.keep_checkpoints, best=best)

    def _record_model(
        self, which: str, saved: About, step: int, loss: float, **more: object
    ) -> None:
        self._append("model", step, which=which, about={**saved, "val_loss": loss, **more})

    def wants_histograms(self, step: int) -> bool:
        """Whether histograms of weights or gradients are recorded after this step."""
        wanted = self.parameter_histograms or self.gradient_histograms
        return wanted and step % self.watch_every == 0

    def report_histograms(self, state: TrainState) -> None:
        """Record the distributions of weights, and of gradients where they are asked for."""
        if self.context.rank == 0:
            drawn = histograms(
                state.model,
                parameters=self.parameter_histograms,
                gradients=self.gradient_histograms,
            )
            self._append("histograms", state.step, histograms=drawn)

    def report_training(self, step: int, metrics: Metrics, *, batch_size: int) -> None:
        """Record training metrics and the samples a second since they were last recorded."""
        pace = self.timer.pace(step, batch_size)
        self.report(step, {**metrics, **pace, **system_metrics()})

    def finish(self, state: TrainState) -> None:
        """Close the ledger of a run that came to its end, with what its last model is."""
        saved = self.store.newest() if self.context.rank == 0 else None
        if saved is not None:
            weights = list(state.model.parameters())
            counts = {
                "total_parameters": sum(weight.numel() for weight in weights),
                "trainable_parameters": sum(w.numel() for w in weights if w.requires_grad),
            }
            self._record_model("final", saved, state.step, self._last_loss, **counts)
        self.end("finished")

    def stop(self, state: TrainState) -> None:
        """Leave a checkpoint of a training that was asked to stop, and say that it did."""
        # None of the first weights, which any start makes anew, nor twice of one step.
        if state.step != self._kept_step:
            self._append("checkpoint", state.step, is_best=False)
            if self.context.rank == 0:
                self._save(state)
        self.end("stopped", "asked to stop")

    def end(self, status: Status, error: str = "") -> None:
        """Close the ledger with how it ended, after the last step that it heard of."""
        self._append("end", self._last_step, status=status, **({"error": error} if error else {}))
        if self.context.rank == 0:
            self.store.confirm()

    def _append(self, event: str, step: int, **content: object) -> None:
        self._last_step = step
        # One writer: rows of several processes would stand twice.
        if self.context.rank == 0:
            self.store.append(new_row(event, step, **content))
