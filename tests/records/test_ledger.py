"""The ledger survives what kills its writer, and the table says what the ledgers say."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import wait_until

from casas_ray.errors import RefusedError
from casas_ray.files import write_whole
from casas_ray.records.ledger import Ledger, read_rows
from casas_ray.records.run_result import RunResult
from casas_ray.report.table import Spread, study_table


def filled(folder: Path, values: dict[int, float], *, status: str = "finished") -> RunResult:
    """A run with a validation at each step; the largest value is the best."""
    ledger = Ledger(folder)
    ledger.append("start", 0, info={"total_steps": 9})
    best = float("-inf")
    for step, value in values.items():
        metrics = {"val/recall_mean": value, "val/chance_recall_mean": 0.01, "val/gallery": 50.0}
        ledger.append("metrics", step, metrics=metrics)
        if step:
            ledger.append("checkpoint", step, is_best=value > best)
            best = max(best, value)
    ledger.append("end", max(values), status=status)
    return RunResult.read(folder)


def test_a_run_is_read_at_the_step_that_validation_chose(tmp_path: Path):
    result = filled(tmp_path, {0: 0.1, 3: 0.5, 6: 0.9, 9: 0.7})
    assert result.status == "finished"
    assert result.best()["val/recall_mean"] == 0.9
    assert result.untrained()["val/recall_mean"] == 0.1


def test_a_torn_last_line_is_dropped_with_a_warning_and_the_next_row_stands_alone(tmp_path, caplog):
    filled(tmp_path, {0: 0.1, 3: 0.5})
    with (tmp_path / "ledger.jsonl").open("a") as stream:
        stream.write('{"event": "metrics", "st')
    assert len(read_rows(tmp_path)) == 5
    assert "a torn line was dropped" in caplog.text
    Ledger(tmp_path).append("metrics", 4, metrics={})
    assert [row["step"] for row in read_rows(tmp_path)] == [0, 0, 3, 3, 3, 4]


def test_rows_that_a_resume_did_again_count_once(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.append("start", 0, info={})
    for step in (1, 2, 3):
        ledger.append("metrics", step, metrics={"train/total_loss": float(step)})
    ledger.append("start", 2, info={})
    ledger.append("metrics", 3, metrics={"train/total_loss": 3.0})
    assert [row["step"] for row in read_rows(tmp_path) if row["event"] == "metrics"] == [1, 2, 3]


def test_a_full_disk_leaves_no_part_of_a_row_and_the_next_row_stands_alone(small_disk: Path):
    ledger = Ledger(small_disk)
    with pytest.raises(OSError) as caught:
        for step in range(1, 10**6):
            ledger.append("metrics", step, metrics={"train/" + "x" * 1000: 1.0})
    assert caught.value.errno == errno.ENOSPC
    lines = ledger.path.read_bytes()
    before = read_rows(small_disk)
    assert lines.endswith(b"\n")
    assert len(before) == len(lines.splitlines()) > 50
    # The same writer goes on, in what room is left, as it does with the row of its end.
    ledger.append("end", len(before), status="failed", error="full")
    assert read_rows(small_disk) == [*before, read_rows(small_disk)[-1]]
    assert RunResult.read(small_disk).status == "failed"


def test_a_full_disk_leaves_whole_files_whole(small_disk: Path):
    write_whole(small_disk / "run.json", "the old content")
    with pytest.raises(OSError):
        write_whole(small_disk / "run.json", "x" * 10**6)
    assert [path.name for path in small_disk.iterdir()] == ["run.json"]
    assert (small_disk / "run.json").read_text() == "the old content"


def test_a_line_torn_by_another_writer_is_ended_by_the_next_row(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.append("start", 0, info={})
    with ledger.path.open("ab") as stream:  # after it was opened
        stream.write(b'{"event": "met')
    ledger.append("end", 3, status="finished")
    assert [row["event"] for row in read_rows(tmp_path)] == ["start", "end"]


@pytest.mark.parametrize(
    "line",
    [
        "12",
        "null",
        '"text"',
        "[]",
        "{}",
        '{"event": "metrics", "step": 3}',
        '{"event": "metrics", "step": "3", "metrics": {}}',
        '{"event": "metrics", "step": 3, "metrics": {"val/recall_mean": "much"}}',
        '{"event": "start", "step": 0, "info": 1}',
        '{"event": "end", "step": 3, "status": "wonderful"}',
        '{"event": "of tomorrow", "step": 3}',
        "[" * 100_000,
        '{"event": "end", "step": 3, "status": "failed", "error": "\\ud800"}',
    ],
)
def test_a_line_that_is_no_row_is_dropped_with_a_warning(line: str, tmp_path: Path, caplog):
    result = filled(tmp_path / "run", {0: 0.1, 9: 0.3})
    with (tmp_path / "run" / "ledger.jsonl").open("a") as stream:
        stream.write(line + "\n")
    again = RunResult.read(tmp_path / "run")
    assert again == result
    assert "a torn line was dropped" in caplog.text
    assert study_table({("base", 0): again}).arms[0].status == "finished"


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path):
    Ledger(tmp_path).append("start", 0, info={})
    text = (tmp_path / "ledger.jsonl").read_text()
    (tmp_path / "ledger.jsonl").write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(RefusedError, match="written by a newer version"):
        RunResult.read(tmp_path)


def test_metrics_that_are_not_finite_are_numbers_again(tmp_path: Path):
    runs = {("base", 0): filled(tmp_path / "a", {0: 0.1, 9: 0.3})}
    Ledger(tmp_path / "a").append("metrics", 9, metrics={"val/clip_loss": "inf"})
    Ledger(tmp_path / "a").append("end", 9, status="finished")
    runs = {("base", 0): RunResult.read(tmp_path / "a")}
    assert study_table(runs).arms[0].metrics["val/clip_loss"].mean == float("inf")


def test_a_ledger_that_is_gone_or_emptied_of_what_counts_is_missing(tmp_path: Path):
    filled(tmp_path, {0: 0.1, 9: 0.3})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "ledger.jsonl").unlink()
    assert RunResult.read(tmp_path).status == "missing"
    Ledger(tmp_path).append("end", 9, status="finished")
    lost = RunResult.read(tmp_path)
    assert lost.status == "missing"
    arm = study_table({("base", 0): lost}).arms[0]
    assert (arm.status, arm.seeds) == ("1 missing", "0 of 1")


WRITER = """
import sys
from pathlib import Path
from casas_ray.records.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for step in range(10**9):
    ledger.append("metrics", step, metrics={"train/total_loss": 1.0})
"""


def test_a_ledger_survives_kill_9_with_at_most_a_torn_last_line(tmp_path: Path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    wait_until(lambda: len(read_rows(tmp_path)) >= 100, process=writer)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    lines = (tmp_path / "ledger.jsonl").read_bytes().splitlines()
    steps = [row["step"] for row in read_rows(tmp_path)]
    assert steps == list(range(len(steps)))
    assert len(steps) >= len(lines) - 1


def test_a_number_that_is_not_finite_is_kept_as_text(tmp_path: Path):
    from casas_ray.records.ledger import finite

    found = finite({"a": float("nan"), "b": float("inf"), "c": 1.0})
    assert found == {"a": "nan", "b": "inf", "c": 1.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_table_gives_mean_spread_and_change_paired_by_seed(tmp_path: Path):
    values = {("base", 0): 0.2, ("base", 1): 0.4, ("arm", 0): 0.5, ("arm", 1): 0.5}
    runs = {
        (arm, seed): filled(tmp_path / f"{arm}{seed}", {0: 0.0, 9: value})
        for (arm, seed), value in values.items()
    }
    base, arm = study_table(runs).arms
    assert (base.name, base.seeds, base.status, base.change) == ("base", "2", "finished", None)
    mean = base.metrics["val/recall_mean"]
    assert (mean.mean, mean.std) == (pytest.approx(0.3), pytest.approx(0.02**0.5))
    assert str(mean) == "0.300 ± 0.141"
    assert arm.change.mean == pytest.approx(0.2)  # 0.3 and 0.1
    assert arm.change.signed() == "+0.200 ± 0.141"


def test_the_untrained_are_those_of_the_base_counted_once(tmp_path: Path):
    starts = {("base", 0): 0.1, ("base", 1): 0.3, ("arm", 0): 0.1, ("arm", 1): 0.3}
    runs = {
        (arm, seed): filled(tmp_path / f"{arm}{seed}", {0: value, 9: 0.9})
        for (arm, seed), value in starts.items()
    }
    assert str(study_table(runs).untrained["val/recall_mean"]) == "0.200 ± 0.141"


def test_a_diverged_arm_is_a_row_and_its_numbers_are_not_in_the_mean(tmp_path: Path):
    runs = {
        ("base", 0): filled(tmp_path / "a", {0: 0.0, 9: 0.3}),
        ("arm", 0): filled(tmp_path / "b", {0: 0.0, 9: 0.8}, status="diverged"),
    }
    arm = study_table(runs).arms[1]
    assert (arm.seeds, arm.status) == ("0 of 1", "1 diverged")
    assert arm.metrics["val/recall_mean"] is None
    assert arm.change is None


def test_a_study_of_which_nothing_finished_still_has_a_table(tmp_path: Path):
    runs = {("base", 0): filled(tmp_path / "a", {0: 0.0}, status="failed")}
    assert study_table(runs).arms[0].status == "1 failed"


def test_one_seed_has_no_spread():
    assert str(Spread.of([0.25])) == "0.250"
    assert Spread.of([]) is None
