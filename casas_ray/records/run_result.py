"""What a run's ledger says of it: how it ended, and its metrics."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from casas_ray.records.ledger import read_rows

Status = Literal["running", "finished", "diverged", "failed", "stopped"]


@dataclass(frozen=True)
class RunResult:
    """What a run's ledger says."""

    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "RunResult":
        """The result so far; a folder without a ledger is a run that has not started."""
        return cls(folder, read_rows(folder))

    @property
    def info(self) -> dict[str, Any]:
        """What the run said of itself when it (last) started."""
        starts = [row for row in self.rows if row["event"] == "start"]
        return starts[-1]["info"] if starts else {}

    @property
    def status(self) -> Status | Literal["not started"]:
        """finished, diverged, failed, stopped; running while nobody wrote an end."""
        if not self.rows:
            return "not started"
        last = self.rows[-1]
        return last["status"] if last["event"] == "end" else "running"

    @property
    def error(self) -> str:
        """Why it failed or diverged."""
        return self.rows[-1].get("error", "") if self.rows else ""

    @property
    def step(self) -> int:
        """The last step that any row speaks of."""
        return max((row["step"] for row in self.rows), default=0)

    def metrics_at(self, step: int, prefix: str) -> dict[str, float]:
        """Metrics of one step whose names start with the prefix."""
        found: dict[str, float] = {}
        for row in self.rows:
            if row["event"] == "metrics" and row["step"] == step:
                found |= {k: v for k, v in row["metrics"].items() if k.startswith(prefix)}
        return found

    def best(self) -> dict[str, float]:
        """Validation metrics of the selected step; empty before the first validation."""
        marks = [row for row in self.rows if row["event"] == "checkpoint" and row.get("is_best")]
        return self.metrics_at(marks[-1]["step"], "val/") if marks else {}

    def untrained(self) -> dict[str, float]:
        """Validation metrics before the first step."""
        return self.metrics_at(0, "val/")
