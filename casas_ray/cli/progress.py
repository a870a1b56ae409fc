"""How a study or a run is coming along, from the rows of its ledgers."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

from casas_ray.records.rows import Row
from casas_ray.report.table import MAIN_METRIC

Say = Callable[[str], None]
Advance = Callable[[float, float, str], None]
"""Hears of steps done, of steps in all, and of how well it goes."""

_LOSS = "train/total_loss"


class Board:
    """Hears ledger rows; says how runs end, and how much of the whole is done.

    Of a lone run it also says each validation. `advance` is given steps done, steps in all, and the
    latest loss with the best so far; runs that have not started are counted as long as those that
    have.
    """

    def __init__(self, names: Sequence[str], say: Say, advance: Advance) -> None:
        self._names = names
        self._say = say
        self._advance = advance
        self._steps = [0] * len(names)
        self._totals = [0] * len(names)
        self._found: dict[int, int] = {}
        """Steps that a run had behind it when this command took it up."""

        self._spared = 0
        """Steps that nobody will take, for their runs have failed or diverged."""

        self._last: dict[int, float] = {}
        self._best: tuple[float, int] | None = None
        """The highest so far, and the run that reached it."""

        self._loss: float | None = None
        """Of the latest row of training, whichever run wrote it."""

        self._ended = 0
        self._began = time.time()

    def hear(self, run: int, row: Row) -> None:
        """A new row of a run's ledger; rows of an earlier command are passed over."""
        if row.get("time", 0.0) < self._began:
            return
        self._steps[run] = row["step"]
        if row["event"] == "start":
            self._totals[run] = row["info"].get("total_steps", 0)
            # The least: a training may be taken up again within a command, from an earlier step.
            self._found[run] = min(row["step"], self._found.get(run, row["step"]))
        elif row["event"] == "metrics":
            self._measured(run, row["metrics"])
        elif row["event"] == "end":
            self._end(run, row["status"])
        self._advance(float(sum(self._steps)), float(self._whole()), self.how_well())

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def how_well(self) -> str:
        """The latest loss, and the best so far with where it is; empty before any."""
        said = [] if self._loss is None else [f"loss {self._loss:.3f}"]
        if self._best is not None:
            value, run = self._best
            of_run = f" ({self._names[run]})" if len(self._names) > 1 else ""
            said.append(f"best {MAIN_METRIC.removeprefix('val/')} {value:.3f}{of_run}")
        return ", ".join(said)

    def _measured(self, run: int, metrics: Mapping[str, float | str]) -> None:
        if _LOSS in metrics:
            self._loss = float(metrics[_LOSS])  # text where it is not finite
        if MAIN_METRIC not in metrics:
            return
        value = self._last[run] = float(metrics[MAIN_METRIC])
        # What is not finite is no best.
        if math.isfinite(value) and (self._best is None or value > self._best[0]):
            self._best = value, run
        self._validated(run)

    def _whole(self) -> int:
        longest = max(self._totals)
        return sum(total or longest for total in self._totals)

    def _validated(self, run: int) -> None:
        if len(self._names) == 1:  # of many runs, only their ends are news
            step, total = self._steps[run], self._totals[run]
            self._say(f"step {step}/{total}: {MAIN_METRIC} {self._last[run]:.3f}{self._left()}")

    def _end(self, run: int, status: str) -> None:
        self._ended += 1
        self._spared += self._totals[run] - self._steps[run]
        self._steps[run] = self._totals[run]  # one that failed has no steps left either
        metric = f", {MAIN_METRIC} {self._last[run]:.3f}" if run in self._last else ""
        self._say(
            f"[{self._ended}/{len(self._names)}] {self._names[run]}: {status}{metric}{self._left()}"
        )

    def _left(self) -> str:
        done, whole = sum(self._steps), self._whole()
        # What was done before, or will never be done, took no time of this command.
        taken = done - sum(self._found.values()) - self._spared
        if taken <= 0 or done >= whole:
            return ""
        seconds = (time.time() - self._began) * (whole - done) / taken
        return (
            f"; about {seconds / 60:.0f} min left" if seconds >= 90 else f"; {seconds:.0f} s left"
        )
