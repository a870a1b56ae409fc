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
from casas_ray.report.table import Spread, curves, flat_rows, study_table


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


@pytest.mark.faults
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


def test_a_run_that_is_begun_anew_or_taken_up_again_has_one_start_and_no_end_of_before(
    tmp_path: Path,
):
    filled(tmp_path, {0: 0.1, 3: 0.5}, status="stopped")
    ledger = Ledger(tmp_path)
    ledger.append("start", 3, info={"total_steps": 9, "workers": 2})
    taken_up = RunResult.read(tmp_path)
    assert [row["event"] for row in taken_up.rows].count("end") == 0
    assert (taken_up.status, taken_up.info["workers"]) == ("running", 2)
    assert taken_up.best() == taken_up.metrics_at(3, "val/") != {}
    ledger.append("start", 0, info={"total_steps": 9, "workers": 1})
    anew = RunResult.read(tmp_path)
    assert [(row["event"], row["step"]) for row in anew.rows] == [("start", 0)]


@pytest.mark.faults
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
        '{"event": "start", "step": 0, "info": {"git_commit": 12}}',
        '{"event": "start", "step": 0, "info": {"packages": {"ray": null}}}',
        '{"event": "start", "step": 0, "info": {"galleries": ["val"]}}',
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


@pytest.mark.faults
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
    starts = {("base", 0): 0.1, ("base", 1): 0.3, ("arm", 0): 0.1, ("arm", 1): 0.5}
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


def test_a_seed_that_the_base_lacks_counts_in_the_arms_mean_and_in_no_change(tmp_path: Path):
    runs = {
        ("base", 0): filled(tmp_path / "a", {0: 0.0, 9: 0.3}),
        ("base", 1): filled(tmp_path / "b", {0: 0.0, 9: 0.1}, status="failed"),
        ("arm", 0): filled(tmp_path / "c", {0: 0.0, 9: 0.5}),
        ("arm", 1): filled(tmp_path / "d", {0: 0.0, 9: 0.7}),
    }
    arm = study_table(runs).arms[1]
    assert arm.metrics["val/recall_mean"].mean == pytest.approx(0.6)
    assert (arm.change.mean, arm.change.count) == (pytest.approx(0.2), 1)


def test_a_study_of_which_nothing_finished_still_has_a_table(tmp_path: Path):
    runs = {("base", 0): filled(tmp_path / "a", {0: 0.0}, status="failed")}
    assert study_table(runs).arms[0].status == "1 failed"


def told(result: RunResult, **info: object) -> RunResult:
    """The run, had its start told this too."""
    for row in result.rows:
        if row["event"] == "start":
            row["info"] |= info
    return result


def judged(folder: Path, value: float, *, windows: float, chance: float, of: str) -> RunResult:
    """A finished run over a gallery of so many windows."""
    result = filled(folder, {0: 0.0, 9: value})
    for row in result.rows:
        if row["event"] == "metrics":
            row["metrics"] |= {"val/gallery": windows, "val/chance_recall_mean": chance}
    return told(result, fingerprint=of)


def test_arms_of_other_galleries_have_their_own_chance_and_no_change(tmp_path: Path):
    long = {"windows": 103.0, "chance": 0.054, "of": "long"}
    short = {"windows": 207.0, "chance": 0.028, "of": "short"}
    runs = {
        ("base", 0): judged(tmp_path / "a", 0.2, **short),
        ("long", 0): judged(tmp_path / "b", 0.208, **long),
        ("fast", 0): judged(tmp_path / "c", 0.3, **short),
    }
    table = study_table(runs)
    _, other, fast = table.arms
    assert (other.gallery, other.chance["val/recall_mean"]) == (103, 0.054)
    assert other.change is None
    assert fast.change.mean == pytest.approx(0.1)
    assert table.strangers == ["long"]
    plain = table.as_dict()["arms"]
    assert [arm["chance"]["val/recall_mean"] for arm in plain] == [0.028, 0.054, 0.028]
    assert plain[1]["change_from_base"] is None
    header, *rows = flat_rows(table)
    places = [header.index(name) for name in ("gallery", "chance of val/recall_mean")]
    assert [[row[place] for place in places] for row in rows] == [
        [207, 0.028],
        [103, 0.054],
        [207, 0.028],
        [207, 0.028],
        [207, 0.028],
    ]
    assert rows[1][header.index("change from base")] is None


def test_as_many_windows_of_other_data_are_another_gallery(tmp_path: Path):
    runs = {
        (arm, 0): judged(tmp_path / arm, 0.2, windows=50.0, chance=0.1, of=arm)
        for arm in ("base", "arm")
    }
    assert study_table(runs).strangers == ["arm"]
    for run in runs.values():
        told(run, galleries={"val": "the same windows and captions"})
    assert study_table(runs).strangers == []


def test_chance_is_the_bases_own_whichever_arm_finished_first(tmp_path: Path):
    runs = {
        ("base", 0): judged(tmp_path / "a", 0.2, windows=207.0, chance=0.028, of="short"),
        ("long", 0): judged(tmp_path / "b", 0.3, windows=103.0, chance=0.054, of="long"),
    }
    runs["base", 0].rows[-1]["status"] = "diverged"
    table = study_table(runs)
    assert (table.gallery, table.chance["val/recall_mean"]) == (207, 0.028)


def test_runs_of_unlike_code_or_packages_are_named_under_the_table(tmp_path: Path):
    def state(commit: str, dirty: object, changes: str = "", torch: str = "2.13.0") -> dict:
        code = {"git_commit": commit, "git_dirty": dirty, "git_changes": changes}
        return {**code, "packages": {"torch": torch}, "python": "3.11.7"}

    def remarks(*states: dict) -> list[str]:
        runs = {
            ("base", seed): told(filled(tmp_path / f"{len(states)}{seed}", {0: 0.0, 9: 0.5}), **one)
            for seed, one in enumerate(states)
        }
        table = study_table(runs)
        assert table.as_dict()["remarks"] == table.remarks
        return list(table.remarks)

    same = state("a" * 40, False)
    assert remarks(same, same) == []
    (code,) = remarks(same, state("b" * 40, False))
    assert code == (
        "The code differs between runs: commit aaaaaaaa (base-seed0); commit bbbbbbbb (base-seed1)."
    )
    (dirty,) = remarks(same, state("a" * 40, True, "c0ffee"))
    assert "commit aaaaaaaa with changes c0ffee (base-seed1)" in dirty
    (unknown,) = remarks(same, state("", False))  # as runs through Ray said before
    assert "unknown commit (base-seed1)" in unknown
    (packages,) = remarks(same, state("a" * 40, False, torch="2.14.0"))
    assert "torch 2.14.0 (base-seed1)" in packages


def test_a_metric_that_is_not_finite_is_in_the_table_and_its_json_is_json(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.append("start", 0, info={"total_steps": 9})
    for step in (0, 9):
        ledger.append("metrics", step, metrics={"val/recall_mean": "nan", "val/gallery": 5.0})
    ledger.append("checkpoint", 9, is_best=True)
    ledger.append("end", 9, status="finished")
    table = study_table({("base", 0): RunResult.read(tmp_path)})
    assert str(table.arms[0].metrics["val/recall_mean"]) == "nan"
    assert json.loads(json.dumps(table.as_dict(), allow_nan=False))


def test_the_curve_of_an_arm_goes_by_steps_whoever_had_them_first(tmp_path: Path):
    runs = {
        ("base", 0): filled(tmp_path / "a", {0: 0.1, 9: 0.5}),
        ("base", 1): filled(tmp_path / "b", {0: 0.3, 6: 0.4, 9: 0.7}),
    }
    assert curves(runs) == {
        "base": [(0, pytest.approx(0.2)), (6, 0.4), (9, pytest.approx(0.6))],
    }


def test_rows_for_others_have_means_and_spreads_in_their_columns(tmp_path: Path):
    runs = {
        ("base", 0): filled(tmp_path / "a", {0: 0.1, 9: 0.2}),
        ("base", 1): filled(tmp_path / "b", {0: 0.3, 9: 0.4}),
        ("arm", 0): filled(tmp_path / "c", {0: 0.1, 9: 0.5}),
        ("arm", 1): filled(tmp_path / "d", {0: 0.3, 9: 0.9}, status="diverged"),
    }
    header, base, arm, untrained, chance = flat_rows(study_table(runs))
    at = header.index("val/recall_mean mean")
    assert header[at + 1] == "val/recall_mean std"
    found = [row[at : at + 2] for row in (base, arm, untrained, chance)]
    spread = pytest.approx(0.02**0.5)
    assert found[:2] == [[pytest.approx(0.3), spread], [0.5, None]]
    assert found[2:] == [[pytest.approx(0.2), spread], [0.01, None]]
    change = header.index("change from base")
    assert arm[change : change + 2] == [pytest.approx(0.3), None]  # of seed 0 alone


def test_one_seed_has_no_spread():
    assert str(Spread.of([0.25])) == "0.250"
    assert Spread.of([]) is None
