"""What a watcher is told while runs go on."""

import time

from casas_ray.cli.progress import Board
from casas_ray.report.table import MAIN_METRIC


def heard(names: list[str], rows: list[tuple[int, dict]]) -> tuple[list[str], list[tuple]]:
    said: list[str] = []
    bars: list[tuple[float, float]] = []
    board = Board(names, said.append, lambda done, total: bars.append((done, total)))
    for run, row in rows:
        board.hear(run, {"time": time.time() + 1, **row})
    return said, bars


def start(total: int) -> dict:
    return {"event": "start", "step": 0, "info": {"total_steps": total}}


def validation(step: int, value: float) -> dict:
    return {"event": "metrics", "step": step, "metrics": {MAIN_METRIC: value}}


END = {"event": "end", "step": 10, "status": "finished"}


def test_a_lone_run_tells_each_validation_and_its_end():
    said, bars = heard(["run"], [(0, start(10)), (0, validation(5, 0.25)), (0, END)])
    assert said[0].startswith("step 5/10: val/recall_mean 0.250")
    assert said[1] == "[1/1] run: finished, val/recall_mean 0.250"
    assert bars == [(0, 10), (5, 10), (10, 10)]


def test_of_many_runs_only_the_ends_are_told_and_those_not_begun_are_counted_in():
    rows = [(0, start(10)), (0, validation(10, 0.5)), (0, END)]
    said, bars = heard(["a", "b", "c"], rows)
    assert len(said) == 1
    assert said[0].startswith("[1/3] a: finished, val/recall_mean 0.500")
    assert bars[-1] == (10, 30)


def test_a_run_that_diverged_early_counts_as_done():
    end = {"event": "end", "step": 2, "status": "diverged"}
    said, bars = heard(["a", "b"], [(0, start(10)), (0, end)])
    assert said[0].startswith("[1/2] a: diverged")
    assert bars[-1] == (10, 20)


def test_rows_of_an_earlier_command_are_passed_over():
    said, bars = heard(["a"], [(0, {**END, "time": 1.0})])
    assert said == bars == []
