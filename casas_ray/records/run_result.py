"""What a run's ledger says of it: how it ended, and its metrics."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from casas_ray.records.ledger import Row, read_rows

Status = Literal["running", "finished", "diverged", "failed", "stopped"]


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
    def status(self) -> Status | Literal["not started"]:
        """How it ended: finished, diverged, failed or stopped; running while nobody wrote an end.

        A process that was killed writes none, so its run reads as running.
        """
        if not self.rows:
            return "not started"
        last = self.rows[-1]
        return last["status"] if last["event"] == "end" else "running"

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
                metrics |= {
                    # What is not finite is text in a ledger.
                    name: float(value)
                    for name, value in row["metrics"].items()
                    if name.startswith(prefix)
                }
        return metrics

    def best(self) -> dict[str, float]:
        """Validation metrics of the selected step; empty before the first validation."""
        # The last mark is the best: a checkpoint is marked when it beats all before it.
        marks = [row for row in self.rows if row["event"] == "checkpoint" and row.get("is_best")]
        return self.metrics_at(marks[-1]["step"], "val/") if marks else {}

    def untrained(self) -> dict[str, float]:
        """Validation metrics before the first step."""
        return self.metrics_at(0, "val/")
