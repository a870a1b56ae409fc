"""What a run's ledger says of it: how it ended, and its metrics."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from casas_ray.records.ledger import read_rows
from casas_ray.records.rows import Row, Status

CHECKPOINTS = "checkpoints"

PRUNED = "the scheduler stopped it, for others did better"
"""The reason in the ledger of a trial that is not to be taken up again."""

SETTLED = ("finished", "diverged", "pruned")
"""A diverged run diverges again, and a pruned one is pruned: the same recipe, the same numbers."""


@dataclass(frozen=True)
class RunResult:
    """A run's ledger, and the questions that are asked of it."""

    folder: Path
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "RunResult":
        """The result so far; a folder without a ledger is a run that has not started."""
        return cls(folder, read_rows(folder))

    @property
    def infos(self) -> list[Row]:
        """What the run said of itself at each start whose steps stand."""
        return [row["info"] for row in self.rows if row["event"] == "start"]

    @property
    def info(self) -> Row:
        """What the run said of itself when it (last) started."""
        return self.infos[-1] if self.infos else {}

    @property
    def status(self) -> Status | Literal["not started", "missing", "pruned"]:
        """How it ended: finished, diverged, failed or stopped; running while nobody wrote an end;
        missing where there was a training and its ledger, or what counts of it, is gone; pruned
        where a scheduler stopped it for good.

        A process that was killed writes none, so its run reads as running.
        """
        if not self.rows:
            return "missing" if (self.folder / CHECKPOINTS).is_dir() else "not started"
        last = self.rows[-1]
        if last["event"] != "end":
            return "running"
        if last["status"] == "stopped" and last.get("error") == PRUNED:
            return "pruned"
        return "missing" if last["status"] == "finished" and not self.best() else last["status"]

    @property
    def error(self) -> str:
        """Why it failed or diverged; empty where it did not."""
        return self.rows[-1].get("error", "") if self.rows else ""

    @property
    def step(self) -> int:
        """The last step that any row speaks of."""
        return max((row["step"] for row in self.rows), default=0)

    def metrics_at(self, step: int, prefix: str) -> dict[str, float]:
        """The metrics of one step whose names start with the prefix."""
        # Several rows may speak of a step: those of training and those of validation.
        metrics: dict[str, float] = {}
        for row in self.rows:
            if row["event"] == "metrics" and row["step"] == step:
                # What is not finite stands there as text.
                metrics |= {
                    name: float(value)
                    for name, value in row["metrics"].items()
                    if name.startswith(prefix)
                }
        return metrics

    @property
    def best_step(self) -> int | None:
        """The step that validation chose; None before the first validation.

        It is written down here alone: whoever shows, judges or sends the best asks this.
        """
        # The last mark is the best: a checkpoint is marked when it beats all before it.
        marks = [row for row in self.rows if row["event"] == "checkpoint" and row.get("is_best")]
        return marks[-1]["step"] if marks else None

    @property
    def checkpoint_steps(self) -> set[int]:
        """The steps of which it says that a checkpoint was to be written."""
        return {row["step"] for row in self.rows if row["event"] == "checkpoint"}

    def best(self) -> dict[str, float]:
        """Validation metrics of the selected step; empty before the first validation."""
        return {} if self.best_step is None else self.metrics_at(self.best_step, "val/")

    def untrained(self) -> dict[str, float]:
        """Validation metrics before the first step."""
        return self.metrics_at(0, "val/")


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a run's step lies, if there is one."""
    # Eight digits, so that names sort as steps do.
    return run / CHECKPOINTS / f"step-{step:08d}"
