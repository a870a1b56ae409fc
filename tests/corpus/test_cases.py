"""The small inputs of public forms that once failed, each with its right value; read in place, and
skipped aloud where they are not. `test_log_forms.py` makes the same forms itself."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.logs import ACTIVITIES, CASES, EVENTS, labels_of, read, unlabelled

from casas_ray.corpus.alignment import PreparedSet, flat
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no small inputs in {CASES}")

WHOLE = (
    "00_baseline.txt",
    "03_label_equals_begin.txt",
    "05_closed.txt",
    "09_two_marks_on_a_line.txt",
    "16_log.txt.gz",
    "16_stored.zip",
    "28_lower_case_states.txt",
    "30_seven_digit_fraction.txt",
)


@pytest.mark.parametrize("name", WHOLE)
def test_every_event_and_activity_is_read(name: str):
    log, cleaned = read(CASES / name)
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert unlabelled(cleaned) == 0
    assert (log.total, log.rejected, cleaned.dropped_types) == (EVENTS, [], {})


def test_01_the_type_after_the_value_is_a_type():
    log, cleaned = read(CASES / "01_type_in_fourth_field.txt")
    assert (log.total, len(cleaned.events)) == (352, EVENTS)
    assert cleaned.dropped_types == {"battery": 9, "radio": 7}
    assert {each.type for each in cleaned.home.sensors.values()} == {"motion", "door", "battery"}


def test_03_and_05_states_and_marks_in_other_spellings_are_those_of_the_plain_form():
    _, plain = read(CASES / "00_baseline.txt")
    for name in ("03_label_equals_begin.txt", "05_closed.txt"):
        _, cleaned = read(CASES / name)
        assert cleaned.events.state.counts() == plain.events.state.counts()
        assert Counter(labels_of(cleaned)) == Counter(labels_of(plain))


def test_06_an_offset_is_read_as_the_clock_time_written():
    _, cleaned = read(CASES / "06_utc_offset.txt")
    _, plain = read(CASES / "00_baseline.txt")
    assert len(cleaned.events) == EVENTS
    assert (cleaned.events.time_us == plain.events.time_us).all()
    assert cleaned.notes == ("times end in +00:00; read as the clock times written",)


def test_10_exact_repeats_of_overlapping_exports_are_set_aside():
    log, cleaned = read(CASES / "10_overlapping_exports.txt")
    assert (log.total, len(cleaned.events), len(cleaned.activities)) == (436, EVENTS, ACTIVITIES)
    assert log.reasons() == {"exact repeat of an earlier line": 100}


@pytest.mark.parametrize("name", ["11_zenodo_commas.csv", "11b_zenodo_tabs.txt"])
def test_11_the_present_release_is_read(name: str):
    log, cleaned = read(CASES / name)
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert (unlabelled(cleaned), log.rejected) == (0, [])
    assert cleaned.dropped_types == {"temperature": 6}
    rooms = {name: sensor.room for name, sensor in cleaned.home.sensors.items()}
    assert (rooms["BedroomABed"], rooms["OutsideDoor"]) == ("bedroom", "entrance")


def test_13_ignore_is_no_room_and_types_go_by_family():
    log, cleaned = read(CASES / "13_hh_rawdata_columns.txt")
    assert log.rejected == []
    assert cleaned.dropped_types == {"battery": 14, "light_level": 7, "temperature": 7, "radio": 4}
    assert (log.total, len(cleaned.events)) == (230, 198)
    assert "ignore" not in {sensor.room.lower() for sensor in cleaned.home.sensors.values()}


def test_14_the_hour_that_comes_twice_keeps_the_order_of_the_file():
    _, cleaned = read(CASES / "14_hour_twice.txt")
    lines = cleaned.events.line
    night = (lines >= 225) & (lines <= 244)
    labels = Counter(np.array(labels_of(cleaned))[night].tolist())
    assert labels == {"Sleep": 11, "Bathe": 9}
    assert lines.tolist() == list(range(1, 349))
    assert cleaned.noticed == {"line of an hour that came twice": 10}


def test_29_a_note_after_a_mark_is_counted():
    _, cleaned = read(CASES / "29_note_after_mark.txt")
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert unlabelled(cleaned) == 0
    assert cleaned.noticed == {"note beside an annotation": 36}


def test_32_thousands_of_numbers_before_the_first_state_are_values_too(tmp_path: Path):
    log = tmp_path / "log.txt"
    program = CASES / "32_numbers_first.py"
    made = subprocess.run([sys.executable, program], check=True, capture_output=True)
    log.write_bytes(made.stdout)
    _, cleaned = read(log)
    assert (len(cleaned.events), cleaned.dropped_types) == (360, {"temperature": 2200})


@pytest.fixture(scope="module")
def shape_b(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreparedSet]:
    folder = tmp_path_factory.mktemp("shape_b")
    subprocess.run([sys.executable, CASES / "18_shape_b.py", folder], check=True)
    names = ("theirs", "ours", "noroom", "hyphen")
    return {name: prepare_json(JsonFiles.beside(folder / name / "train.json")) for name in names}


def test_18_all_four_spellings_of_the_earlier_pipeline_give_the_same_windows(shape_b):
    windows = {name: prepared.windows("train") for name, prepared in shape_b.items()}
    ours = windows["ours"]
    for name, table in windows.items():
        assert table.num_rows == 22
        for column in ("x", "y", "gap_seconds", "start_us", "label"):
            assert table.column(column).equals(ours.column(column)), (name, column)
    # M002 stands at 30, 25; the largest coordinate is 90.
    assert ours.column("x")[1][0].as_py() == pytest.approx(30 / 90)
    assert not np.isnan(flat(ours, "x")).any()


def test_18_a_room_that_an_event_lacks_is_unknown(shape_b):
    assert shape_b["noroom"].manifest["unknown_values"]["train"] == 30
    assert shape_b["ours"].manifest["unknown_values"]["train"] == 0
