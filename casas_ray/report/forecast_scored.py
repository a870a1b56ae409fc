"""What a study was expected to take beside what it took."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from casas_ray.records.forecast import Forecast
from casas_ray.records.run_result import RunResult
from casas_ray.records.taken import most_memory
from casas_ray.report.pairs import Results
from casas_ray.report.provenance import seconds_of


@dataclass(frozen=True)
class Scored:
    """One line: what was expected and what came."""

    what: str
    unit: str
    least: float
    likely: float
    most: float
    came: float | None
    """None where it was not seen whole: nothing finished, or it was stopped in between."""

    @property
    def is_within(self) -> bool | None:
        """Whether it lies in the interval; None where nothing came."""
        return None if self.came is None else self.least <= self.came <= self.most

    def as_dict(self) -> dict[str, object]:
        """The line as JSON can hold it."""
        return {**asdict(self), "is_within": self.is_within}


def scored(forecast: Forecast, results: Results) -> list[Scored]:
    """Each arm's seconds a trial, then the whole study's, its memory and its money."""
    runs = {cell: results[cell] for cell in forecast.trials if cell in results}
    lines = [
        Scored(arm, "s a trial", *expected.seconds, _mean_seconds(_of(arm, runs)))
        for arm, expected in forecast.arms.items()
    ]
    wall = _wall(forecast, list(runs.values()))
    if forecast.seconds:
        lines.append(Scored("the whole study", "s", *forecast.seconds, wall))
    if forecast.arms:
        memory = max(one.memory_mib for one in forecast.arms.values())
        came = max((most_memory(run) for run in runs.values()), default=0.0) or None
        lines.append(Scored("memory of a trial", "MiB", memory * 0.75, memory, memory * 1.25, came))
    if forecast.money:
        spent = None if wall is None else wall / 3600 * forecast.price_per_hour
        lines.append(Scored("money", "", *forecast.money, spent))
    return lines


def _of(arm: str, runs: Results) -> list[RunResult]:
    return [run for (name, _), run in runs.items() if name == arm]


def _mean_seconds(runs: Sequence[RunResult]) -> float | None:
    seconds = [seconds_of(run) for run in runs if run.status == "finished"]
    return statistics.fmean(seconds) if seconds else None


def _wall(forecast: Forecast, runs: Sequence[RunResult]) -> float | None:
    """From the forecast, made just before they began, to the last end; of trials that all finished
    in one go."""
    whole = [run for run in runs if run.status == "finished" and len(run.infos) == 1]
    if not whole or len(whole) < len(forecast.trials):
        return None
    began = datetime.fromisoformat(forecast.made).timestamp()
    return max(run.rows[-1]["time"] for run in whole) - began
