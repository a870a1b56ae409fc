"""Tomorrow's log is told as it comes: the clusters of the training days, line by line."""

import csv
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError
from casas_ray.evals.assignments import assign
from casas_ray.evals.grouping import Grouping
from casas_ray.evals.opened import clusters_in
from casas_ray.evals.telling import Teller
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.sealed import write_sealed


@pytest.fixture(scope="module")
def log(small_set: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events of the set as a plain log of another name."""
    events = pq.read_table(small_set.folder / "events.parquet")
    times = events.column("time_us").to_numpy().astype("datetime64[us]")
    rows = zip(
        times, events.column("sensor").to_pylist(), events.column("state").to_pylist(), strict=True
    )
    path = tmp_path_factory.mktemp("log") / "tomorrow.txt"
    path.write_text("".join(f"{str(t).replace('T', ' ')} {s} {v}\n" for t, s, v in rows))
    return path


def kept(small_set: PreparedSet, features: str, method: str = "kmeans") -> Path:
    k = None if method == "hdbscan" else 7
    return assign(small_set, None, Grouping(features, method, k), lambda _: None).folder


@pytest.mark.parametrize(
    ("features", "method"),
    [
        ("hand", "kmeans"),
        ("counts", "gmm"),
        ("rich", "kmeans"),
        ("past", "kmeans"),
        ("hand", "agglomerative"),
        ("hand", "hdbscan"),
    ],
)
def test_a_log_of_the_training_days_is_told_their_clusters(
    run, small_set: PreparedSet, log: Path, features: str, method: str
):
    folder = kept(small_set, features, method)
    code, out, err = run("apply", folder, "--log", log)
    assert code == 0
    told = list(csv.DictReader(io.StringIO(out)))
    assert f"{len(told):,} windows" in err
    assert list(told[0]) == ["start", "end", "line", "events", "cluster", "name"]
    held = pq.read_table(folder / "windows.parquet")
    training = held.filter(np.array(held.column("split").to_pylist()) == "train")
    first, length, cluster = (
        training.column(name).to_numpy() for name in ("first_event", "length", "cluster")
    )
    # The tail of the last training day is cut short in the set, and goes on here.
    by_line = {int(row["line"]): (int(row["events"]), int(row["cluster"])) for row in told}
    same = [
        by_line.get(at + 1) == (events, name)
        for at, events, name in zip(first.tolist(), length.tolist(), cluster.tolist(), strict=True)
    ]
    # Those that were grouped may lie among others' nearest; every other rule tells them the same.
    least = 0.8 if method in ("agglomerative", "hdbscan") else 1.0
    assert np.mean(same[:-2]) >= least


def test_json_lines_a_file_and_standard_input_tell_the_same(
    run, small_set: PreparedSet, log: Path, tmp_path: Path
):
    folder = kept(small_set, "hand")
    _, out, _ = run("apply", folder, "--log", log)
    code, lines, _ = run("apply", folder, "--log", log, "--form", "jsonl")
    assert code == 0
    rows = [json.loads(line) for line in lines.splitlines()]
    told = list(csv.DictReader(io.StringIO(out)))
    assert [{name: str(value) for name, value in row.items()} for row in rows] == told
    code, nothing, _ = run("apply", folder, "--log", log, "-o", tmp_path / "told.csv")
    assert (code, nothing) == (0, "")
    assert (tmp_path / "told.csv").read_text() == out
    words = [sys.executable, "-m", "casas_ray", "apply", str(folder), "--log", "-"]
    ended = subprocess.run(words, input=log.read_bytes(), capture_output=True, check=True)
    assert ended.stdout.decode() == out


def test_a_window_of_a_pipe_is_told_before_the_pipe_ends(
    small_set: PreparedSet, log: Path, tmp_path: Path
):
    from casas_ray.corpus.live_log import Counts
    from casas_ray.evals.opened import teller

    pipe, lines = tmp_path / "pipe", log.read_text().splitlines(keepends=True)
    os.mkfifo(pipe)
    heard = threading.Event()

    def write() -> None:
        with pipe.open("w") as stream:
            stream.write("".join(lines[:300]))
            stream.flush()
            assert heard.wait(60)  # until then nothing more comes
            stream.write("".join(lines[300:500]).rstrip("\n"))

    writer = threading.Thread(target=write)
    writer.start()
    counts = Counts()
    windows = teller(kept(small_set, "hand")).windows_of(pipe, most_unknown=0.2, counts=counts)
    first = next(windows)
    assert counts.lines <= 300
    heard.set()
    rest = list(windows)
    writer.join(60)
    assert counts.lines == 500
    told = [first.line, *(each.line for each in rest)]
    assert told == sorted(told)


def test_lines_that_were_written_a_moment_late_are_put_in_order(
    run, small_set: PreparedSet, log: Path, tmp_path: Path
):
    clusters = kept(small_set, "hand")
    lines = log.read_text().splitlines(keepends=True)
    stamps = [line[:26] for line in lines]
    moved = 0
    for row in range(300, len(lines) - 1, 7):
        apart = np.datetime64(stamps[row + 1]) - np.datetime64(stamps[row])
        if np.timedelta64(1, "us") <= apart <= np.timedelta64(9, "s"):
            lines[row], lines[row + 1] = lines[row + 1], lines[row]
            moved += 1
    assert moved > 20
    path = tmp_path / "late.txt"
    path.write_text("".join(lines))
    code, told, err = run("apply", clusters, "--log", path)
    assert code == 0, err
    in_order = run("apply", clusters, "--log", log)[1]
    # The number of a window's first line is that of the line as it stands in the file.
    assert without_line(told) == without_line(in_order)


def without_line(told: str) -> list[list[str]]:
    rows = list(csv.reader(told.splitlines()))
    at = rows[0].index("line")
    return [row[:at] + row[at + 1 :] for row in rows]


def test_a_line_long_before_an_earlier_one_in_time_is_named(
    run, small_set: PreparedSet, log: Path, tmp_path: Path
):
    lines = log.read_text().splitlines(keepends=True)
    lines[400], lines[500] = lines[500], lines[400]
    path = tmp_path / "mixed.txt"
    path.write_text("".join(lines))
    code, _, err = run("apply", kept(small_set, "hand"), "--log", path)
    assert code == 3
    problem, hint = err.strip().splitlines()
    assert "mixed.txt, line 402: 20" in problem
    assert "is before 20" in problem
    assert "of line 401" in problem
    assert "sort them" in hint


def test_unknown_sensors_are_told_and_refused_above_a_limit(
    run, small_set: PreparedSet, log: Path, tmp_path: Path
):
    lines = log.read_text().splitlines()
    renamed = [
        line.replace(line.split()[2], "X99") if row % 10 == 0 else line
        for row, line in enumerate(lines)
    ]
    path, folder = tmp_path / "strange.txt", kept(small_set, "hand")
    path.write_text("\n".join(renamed) + "\n")
    code, out, err = run("apply", folder, "--log", path)
    assert code == 0
    assert "10.0% of events are of sensors that the home does not know: X99" in err
    assert out
    code, _, err = run("apply", folder, "--log", path, "--most-unknown", "0.05")
    assert code == 3
    assert "10% of its events are of 1 sensors that home 'milan' does not know: X99" in err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it has no lines with text"),
        (b"hello\nworld\n", "look like no CASAS log"),
        (b"\x1f\x8b\x00\x00nonsense", "Unknown compression method"),
    ],
)
def test_what_is_no_log_is_one_line(
    run, small_set: PreparedSet, tmp_path: Path, content: bytes, problem: str
):
    path = tmp_path / "log"
    path.write_bytes(content)
    code, out, err = run("apply", kept(small_set, "hand"), "--log", path)
    assert (code, out) == (3, "")
    assert problem in err
    assert "Traceback" not in err


def test_clusters_that_cannot_be_told_say_why(run, small_set: PreparedSet, log: Path, tmp_path):
    code, _, err = run("apply", kept(small_set, "both"), "--log", log)
    assert code == 2
    assert "read what comes after a window" in err
    code, _, err = run("apply", tmp_path, "--log", log)
    assert code == 3
    assert "has no clusters" in err
    several = kept(small_set, "hand").parent
    kept(small_set, "rich")
    code, _, err = run("apply", several, "--log", log)
    assert code == 2
    assert "clusterings are kept" in err
    damaged = kept(small_set, "hand") / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    code, _, err = run("apply", damaged.parent, "--log", log)
    assert code == 3
    assert "is damaged: it is not as it was written" in err


def test_a_runs_clusters_are_told_by_its_encoder(
    run, whole_run: Path, small_set: PreparedSet, log: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    assert run("cluster", folder, "--k", "5")[0] == 0
    code, out, _ = run("apply", folder, "--log", log)
    assert code == 0
    assert run("export", folder, tmp_path / "model")[0] == 0
    assert run("apply", tmp_path / "model", "--log", log)[:2] == (0, out)
    # Of several, one is named: by its folder, as the hint has it, or by the folder's name.
    assert run("cluster", folder, "--k", "4")[0] == 0
    code, _, err = run("export", folder, tmp_path / "model")
    assert (code, "2 clusterings are kept" in err) == (2, True)
    chosen = folder / "clusters" / "encoder-kmeans-5-val"
    for named in (chosen.name, chosen):
        assert run("export", folder, tmp_path / "model", "--clusters", named)[0] == 0
        assert run("apply", tmp_path / "model", "--log", log)[:2] == (0, out)
    strangers = kept(small_set, "hand")
    code, _, err = run("export", folder, tmp_path / "model", "--clusters", strangers)
    assert (code, "is of another run" in err) == (2, True)
    shutil.rmtree(folder / "clusters" / "encoder-kmeans-4-val")
    # A model that reads around windows wants more than the windows that are whole by now.
    further = {
        "data.context.events": 8,
        "data.context.side": "past",
        "model.pooling": "mean",
    }
    opened = TrainedRun.open(folder)
    reads_further = dataclasses.replace(opened, recipe=opened.recipe.replace(further))
    with pytest.raises(SettingsError, match="of a model that reads around a window"):
        Teller.open(clusters_in(folder), model=reads_further)
    # Other weights than those that made the clusters tell other clusters.
    (clusters,) = (folder / "clusters").iterdir()
    told = json.loads((clusters / "model.json").read_text())
    write_sealed(clusters / "model.json", {**told, "weights": "0" * 64})
    code, _, err = run("apply", folder, "--log", log)
    assert code == 3
    assert "other weights than those at hand made these clusters" in err
