"""A study as it goes on, seen from another process: lines in a log, a picture in a terminal."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.studies import study_on_disk
from support.waiting import LONG, wait_until

from casas_ray.cli import watching
from casas_ray.records.ledger import Ledger
from casas_ray.records.lock import is_locked, locked
from casas_ray.records.on_disk import on_disk

VALUES = {"base": [0.30, 0.32], "wide": [0.35, None]}


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen, list[dict]]]:
    """A study that somebody is at work on, a process that watches it, and what that said so far."""
    folder = tmp_path / "one-1"
    study_on_disk(folder, VALUES)
    words = ["watch", str(folder), "--json", "--every", "0.1"]
    with locked(folder):
        process = subprocess.Popen(
            [sys.executable, "-m", "casas_ray", *words], stdout=subprocess.PIPE, text=True
        )
        said: list[dict] = []

        def read() -> None:
            assert process.stdout is not None
            said.extend(map(json.loads, process.stdout))

        reader = threading.Thread(target=read)
        reader.start()
        yield folder, process, said
    assert process.wait(timeout=LONG) == 0  # nobody is at work any more
    reader.join()


def test_each_change_is_a_line_until_nobody_is_at_work(
    lines: tuple[Path, subprocess.Popen, list[dict]],
):
    folder, process, said = lines
    wait_until(lambda: len(said) == 4, process=process)
    assert [(each["arm"], each["state"]) for each in said] == [
        ("base", "finished"),
        ("base", "finished"),
        ("wide", "finished"),
        ("wide", "diverged"),
    ]
    assert said[0]["caveats"] == ["SIMULATED home", "quick"]
    ledger = Ledger(folder / "wide-seed1")
    ledger.append("start", 0, info={"total_steps": 100})
    wait_until(lambda: len(said) == 5, process=process)
    ledger.append("metrics", 50, metrics={"val/recall_mean": 0.4})
    ledger.append("checkpoint", 50, is_best=True)
    wait_until(lambda: bool(said[5:]), process=process)
    assert (said[4]["state"], said[-1]["best"]) == ("running", 0.4)


def test_a_study_that_nobody_works_on_is_shown_once(run, tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    code, out, err = run("watch", tmp_path / "one-1")
    assert code == 0, err
    assert out.splitlines() == [
        "base-seed0: finished, step 100 of 100, best val/recall_mean 0.300",
        "base-seed1: finished, step 100 of 100, best val/recall_mean 0.320",
        "wide-seed0: finished, step 100 of 100, best val/recall_mean 0.350",
        "wide-seed1: diverged, step 100 of 100",
    ]


def test_the_picture_has_the_table_the_counts_and_a_curve_an_arm(tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    (held,) = on_disk(tmp_path / "one-1")
    with watching.out.capture() as shown:
        watching.out.print(watching._picture(tmp_path / "one-1", held))
    text = shown.get()
    assert "3 finished, 1 diverged; last row" in text
    for arm in VALUES:
        (curve,) = [line for line in text.splitlines() if line.startswith(f"{arm} ")]
        assert curve.split()[1][0] == "▁"


def test_what_holds_no_run_is_one_line(run, tmp_path: Path):
    study_on_disk(tmp_path / "one-1", VALUES)
    for folder in (tmp_path, tmp_path / "nowhere"):
        code, _, err = run("watch", folder)
        assert (code, err.count("casas-ray: ")) == (3, 1), err


def test_looking_whether_somebody_is_at_work_keeps_nobody_out(tmp_path: Path):
    ends = threading.Event()

    def look() -> None:
        while not ends.is_set():
            is_locked(tmp_path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(300):
            with locked(tmp_path):
                pass
    finally:
        ends.set()
        for watcher in watchers:
            watcher.join()
