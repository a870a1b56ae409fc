"""A seat: what the loop sees of where it runs. One loop sits in a worker, a trial or a debugger."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from casas_ray.model import checkpoint
from casas_ray.model.batch import Batch
from casas_ray.model.step import TrainState
from casas_ray.results import Ledger, Status, finite
from casas_ray.run.system import system_metrics
from casas_ray.run.watch import histograms, structure

Metrics = Mapping[str, "Tensor | float"]
Tell = Callable[[dict[str, Any]], None]


def tell_nobody(metrics: dict[str, Any]) -> None:
    """For a seat that nobody listens to: the debugger's."""


@dataclass
class Seat:
    """One worker's place in a run; `report` is its only way out."""

    folder: Path
    rank: int = 0
    world_size: int = 1
    log_every: int = 50
    keep_checkpoints: int = 2
    watch_every: int = 100
    draws: tuple[bool, bool] = (False, False)
    """Whether histograms of weights, and of gradients, are recorded."""

    shows_graph: bool = False
    """Whether the parts of the model are recorded."""

    tell: Tell = tell_nobody
    """Passes validation metrics to Ray Train or Tune. Under Train it is a barrier: every worker
    calls it equally often."""

    _ledger: Ledger | None = field(default=None, repr=False)
    _pace: tuple[int, float] = (0, 0.0)
    _waited: float = 0.0
    _last_loss: float = float("nan")
    _last_step: int = 0

    def begin(self, state: TrainState, info: Mapping[str, Any]) -> None:
        """Say what starts, or from where it goes on."""
        self._pace = (state.step, time.perf_counter())
        self._append("start", state.step, info=dict(info))
        if self.shows_graph:
            self._append("graph", state.step, modules=structure(state.model))

    def wants_log(self, step: int) -> bool:
        """Whether the training metrics of this step are asked for."""
        return step % self.log_every == 0

    def report(
        self, step: int, metrics: Metrics, *, checkpoint_of: TrainState | None = None
    ) -> None:
        """Record metrics; with a state, mark and save a checkpoint too and tell Ray.

        The ledger goes first: a run killed in between resumes from the checkpoint before, and what
        the ledger says beyond that is dropped then.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        self._last_loss = numbers.get("val/total_loss", self._last_loss)
        self._append("metrics", step, metrics=finite(numbers))
        if checkpoint_of is not None:
            is_best = checkpoint_of.note(numbers)
            self._append("checkpoint", step, is_best=is_best)
            if self.rank == 0:
                saved = checkpoint.save(checkpoint_of, self.folder, keep=self.keep_checkpoints)
                if is_best:
                    self._tell_model("best", saved, step, numbers["val/total_loss"])
            self.tell({"step": step, **numbers})

    def _tell_model(self, which: str, saved: Path, step: int, loss: float, **more: object) -> None:
        about = checkpoint.about_file(saved, self.folder)
        self._append("model", step, which=which, about={**about, "val_loss": loss, **more})

    def wants_histograms(self, step: int) -> bool:
        """Whether weights or gradients are to be drawn after this step."""
        return self.draws != (False, False) and step % self.watch_every == 0

    def report_histograms(self, state: TrainState) -> None:
        """Record the distributions of weights, and of gradients where they are asked for."""
        if self.rank == 0:
            parameters, gradients = self.draws
            found = histograms(state.model, parameters=parameters, gradients=gradients)
            self._append("histograms", state.step, histograms=found)

    def finish(self, state: TrainState) -> None:
        """Close the ledger of a run that came to its end, with what its last model is."""
        saved = checkpoint.latest(self.folder) if self.rank == 0 else None
        if saved is not None:
            weights = list(state.model.parameters())
            counts = {
                "total_parameters": sum(weight.numel() for weight in weights),
                "trainable_parameters": sum(w.numel() for w in weights if w.requires_grad),
            }
            self._tell_model("final", saved, state.step, self._last_loss, **counts)
        self.end("finished")

    def report_training(self, step: int, metrics: Metrics, *, batch_size: int) -> None:
        """Record training metrics and how many samples a second the run has made since the last."""
        before, then = self._pace
        now = time.perf_counter()
        pace = {
            "train/samples_per_s": (step - before) * batch_size / (now - then),
            "train/data_wait_share": self.waited_seconds() / (now - then),
        }
        self._pace = (step, now)
        self.report(step, {**metrics, **pace, **system_metrics()})

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; how long they were waited for is reported with the pace."""
        while True:
            start = time.perf_counter()
            batch = next(batches)
            self._waited += time.perf_counter() - start
            yield batch

    def waited_seconds(self) -> float:
        """How long batches were waited for since this was last asked."""
        found, self._waited = self._waited, 0.0
        return found

    def end(self, status: Status, error: str = "") -> None:
        """Close the ledger with how it ended, after the last step that it heard of."""
        self._append("end", self._last_step, status=status, **({"error": error} if error else {}))

    def _append(self, event: str, step: int, **content: object) -> None:
        self._last_step = step
        if self.rank == 0:
            self._ledger = self._ledger or Ledger(self.folder)
            self._ledger.append(event, step, **content)
