"""Who is taken for hanging, and what is said of it; the ledger of a run that hangs."""

import time
from pathlib import Path

import pytest

from casas_ray.records.ledger import new_row
from casas_ray.records.run_result import RunResult
from casas_ray.run.recorder import Recorder, TurnLost
from casas_ray.run.roll import Worker, _Entry, _hanging, _said


def entry(rank: int, *, operations: int, heard: float) -> _Entry:
    worker = Worker(Path("run"), rank, 2, "node", None)
    return _Entry(worker, (5, operations), heard, heard)


def test_of_two_that_both_say_they_wait_the_one_an_operation_behind_hangs():
    now = time.monotonic()
    found = _hanging([entry(0, operations=8, heard=now), entry(1, operations=7, heard=now)], 30)
    assert [each.worker.rank for each in found] == [1]
    assert _said(found, 30) == "rank 1 of 2 hangs: no step for 30 s (machine.hang_seconds)"


def test_one_that_says_nothing_at_all_hangs_whatever_it_said_last():
    now = time.monotonic()
    silent = entry(0, operations=8, heard=now - 31)
    assert _hanging([silent, entry(1, operations=8, heard=now)], 30) == [silent]


def test_two_that_wait_for_each_other_are_both_named():
    now = time.monotonic()
    both = [entry(1, operations=8, heard=now), entry(0, operations=8, heard=now)]
    assert _said(_hanging(both, 30), 30).startswith("ranks 0, 1 of 2 hang: no step for 30 s")


def test_a_writer_that_hangs_writes_no_more_once_its_ledger_says_so(tmp_path: Path):
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    recorder.append(tmp_path, turn, 0, [new_row("start", 0, info={})])
    recorder.settle(tmp_path, "failed", "rank 1 of 2 hangs")
    with pytest.raises(TurnLost):
        recorder.append(tmp_path, turn, 1, [new_row("end", 0, status="failed", error="reset")])
    result = RunResult.read(tmp_path)
    assert (result.status, result.error) == ("failed", "rank 1 of 2 hangs")
    again = recorder.open(tmp_path)
    recorder.append(tmp_path, again, 0, [new_row("start", 0, info={})])
    assert RunResult.read(tmp_path).status == "running"
