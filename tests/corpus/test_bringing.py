"""Bringing a log: what can be used is remembered, what cannot is not, and what moved is named."""

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.logs import EVENTS, classic, lines, story

from casas_ray.config import DataConfig
from casas_ray.corpus.bringing import Named, brought, link_log
from casas_ray.corpus.fetch import log_at_hand, logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import DataError, RefusedError
from casas_ray.paths import raw


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("CASAS_RAY_DATA", str(folder))
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text(lines())
    return path


def test_a_refused_log_never_replaces_the_one_remembered(run, tmp_path: Path, log: Path):
    assert run("prepare", "mine", "--log", log)[0] == 0
    (tmp_path / "bad.txt").write_text("no log\n" * 30)
    (tmp_path / "short.txt").write_text(lines(told=story()[:20]))
    for name, wanted in (("bad.txt", "look like no CASAS log"), ("short.txt", "day")):
        code, _, err = run("prepare", "mine", "--log", tmp_path / name)
        assert (code, wanted in err, str(tmp_path / name) in err) == (3, True, True)
        assert log_at_hand("mine").samefile(log)
    assert run("prepare", "new", "--log", tmp_path / "bad.txt")[0] == 3
    assert not (raw() / "new").exists()


def test_homes_lists_only_what_can_be_used(run, tmp_path: Path, log: Path):
    run("prepare", "mine", "--log", log)
    (raw() / "empty").mkdir()
    (raw() / "broken").mkdir()
    (raw() / "broken" / "data.txt").write_text("no log\n")
    _, out, _ = run("homes", "--json")
    assert set(json.loads(out)) - {"milan", "aruba", "cairo", "kyoto", "tulum"} == {"mine"}


def test_a_log_that_moved_is_named_with_its_old_place_and_its_set_still_stands(run, log: Path):
    assert run("prepare", "mine", "--log", log)[0] == 0
    log.rename(log.with_name("elsewhere.txt"))
    config = DataConfig(homes=("mine",))
    prepared = prepare(config, logs_for(config))
    assert prepared.manifest["homes"]["mine"]["used"] == EVENTS
    code, _, err = run("prepare", "mine", "data.windows.length=30")
    assert code == 3
    assert f"the log was {log}, and nothing lies there now" in err
    _, out, _ = run("homes", "--json")
    assert json.loads(out)["mine"]["moved"] == str(log)
    row = next(row for row in run("homes")[1].splitlines() if row.startswith("│ mine"))
    assert " was " in row


def test_a_log_that_moved_and_was_never_prepared_is_missing_with_its_old_place(log: Path):
    link_log("mine", log)
    log.unlink()
    (raw() / "mine" / "log.json").unlink()
    with pytest.raises(DataError, match=f"the log of home 'mine' was {log}"):
        logs_for(DataConfig(homes=("mine",)))


def test_a_memory_of_another_log_is_none(log: Path):
    link_log("mine", log)
    memory = raw() / "mine" / "log.json"
    memory.write_text(json.dumps({"log": "/elsewhere", "sha256": "0" * 64}))
    log.unlink()
    with pytest.raises(DataError, match="nothing lies there now"):
        logs_for(DataConfig(homes=("mine",)))


def test_a_pipe_is_read_once_and_kept(run, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    packed = gzip.compress(lines().encode())
    writer = threading.Thread(target=pipe.write_bytes, args=(packed,), daemon=True)
    writer.start()
    code, _, err = run("prepare", "piped", "--log", pipe)
    writer.join(timeout=60)
    assert (code, f"reading {pipe}" in err) == (0, True)
    assert log_at_hand("piped").read_bytes() == packed
    assert run("prepare", "piped", "data.windows.length=30")[0] == 0


def test_an_error_of_a_pipes_content_names_the_pipe_and_leaves_nothing(run, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=(b"no log\n" * 9,), daemon=True).start()
    code, _, err = run("prepare", "piped", "--log", pipe)
    assert (code, str(pipe) in err, "piped.txt" in err) == (3, True, False)
    assert not (raw() / "piped").exists()


def test_a_dash_is_standard_input(data_folder: Path):
    command = [sys.executable, "-m", "casas_ray", "prepare", "piped", "--log", "-", "--json"]
    done = subprocess.run(command, input=lines().encode(), capture_output=True, check=True)
    assert json.loads(done.stdout)["homes"]["piped"]["used"] == EVENTS


def test_a_process_substitution_is_a_pipe(run):
    source, sink = os.pipe()
    os.set_blocking(source, True)
    threading.Thread(
        target=lambda: (os.write(sink, lines().encode()), os.close(sink)), daemon=True
    ).start()
    try:
        assert run("prepare", "substituted", "--log", f"/dev/fd/{source}")[0] == 0
    finally:
        os.close(source)


def test_a_log_that_lies_there_itself_is_never_replaced(log: Path):
    (raw() / "full").mkdir(parents=True)
    (raw() / "full" / "data").write_text("precious")
    with pytest.raises(RefusedError), brought("full", Named(log)):
        raise AssertionError("not reached")
    assert (raw() / "full" / "data").read_text() == "precious"


def test_options_that_change_nothing_are_refused(run, log: Path):
    assert run("prepare", "mine", "--activities", log)[0] == 2
    assert run("prepare", "mine", "--columns", "start,end,sensor")[0] == 2
    assert run("prepare", "milan", "--log", log, "--simulated")[0] == 2


def partly_known(folder: Path, sensors: str) -> None:
    (folder / "data" / "homes").mkdir(parents=True)
    text = f'home = "mine"\n[sensors]\n{sensors}'
    (folder / "data" / "homes" / "mine.toml").write_text(text)


def test_facts_that_cover_part_of_the_sensors_say_so_and_keep_the_others(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    partly_known(tmp_path, 'M001 = { type = "motion", room = "bedroom" }\n')
    text = lines(lambda told: classic(told).replace("M004", "KitchenASink"))
    (tmp_path / "log").write_text(text + "2016-03-12 23:59:59\tM0O1\tON\n")
    code, out, err = run("prepare", "mine", "--log", tmp_path / "log", "--json")
    assert code == 0
    assert "the facts of home 'mine' cover 1 of the log's 7 sensors" in err
    assert "M002 (48 lines)" in err
    about = json.loads(out)["homes"]["mine"]
    rooms = about["sensors_by_room"]
    assert (rooms["bedroom"], rooms["kitchen"], rooms["M002"]) == (1, 1, 1)
    # One line of a sensor that nobody knows is a typing error.
    assert about["quarantined"] == {"sensor not in home mine": 1}


def test_facts_that_cover_no_sensor_are_another_homes(run, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    partly_known(tmp_path, 'X001 = { type = "motion", room = "bedroom" }\n')
    (tmp_path / "log").write_text(lines())
    code, _, err = run("prepare", "mine", "--log", tmp_path / "log")
    assert (code, "none of its 6 sensors is in home 'mine'" in err) == (3, True)


def test_rooms_that_were_read_off_names_are_shown(run, tmp_path: Path):
    names = {"M001": "BedroomABed", "M003": "KitchenASink", "D001": "OutsideDoor", "M002": "Ignore"}

    def write(told):
        line = classic(told)
        for sensor, name in names.items():
            line = line.replace(sensor, name)
        return line

    (tmp_path / "log").write_text(lines(write))
    code, out, err = run("prepare", "named", "--log", tmp_path / "log")
    assert code == 0
    assert "BedroomABed in bedroom, KitchenASink in kitchen, OutsideDoor in entrance" in err
    assert "please check" in out
    assert "bedroom 1, entrance 1, kitchen 1, unknown 3" in out
