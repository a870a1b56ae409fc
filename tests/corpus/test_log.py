"""Raw logs: every dialect, and every irregularity that was seen in the wild. All lines
synthetic."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casas_ray.corpus.clean import clean
from casas_ray.corpus.events import NO_ACTIVITY
from casas_ray.corpus.homes import load_home
from casas_ray.corpus.log import read_log
from casas_ray.corpus.stamps import StampForm
from casas_ray.errors import DataError

DIALECTS = {
    "classic": (
        "2009-10-16 03:55:50.000029\tM021\tON\tSleep begin\n"
        "2009-10-16 03:55:52\tM021\tOFF\n"
        "2009-10-16 03:56:01.5\tM028\tON\tSleep end\n"
    ),
    "spaced": (
        "2009-10-16 03:55:50.000029 M021 ON Sleep begin\n"
        "2009-10-16  03:55:52\t M021  OFF\n"
        "2009-10-16 03:56:01.5 M028\tON Sleep end\n"
    ),
    "bare": (
        "2009-10-16 03:55:50.000029\tM021\tON\t\n"
        "2009-10-16 03:55:52\tM021\tOFF\t\n"
        "2009-10-16 03:56:01.5\tM028\tON\t\n"
    ),
    "labelled": (
        "2009-10-16 03:55:50.000029 Bedroom Bedroom ON Sleep\n"
        "2009-10-16 03:55:52 Bedroom Bedroom OFF Sleep\n"
        "2009-10-16 03:56:01.5 Bedroom Closet ON Sleep\n"
    ),
    "columns": (
        "2009-10-16 03:55:50.000029  M021    Bedroom  Bed     ON      Control4-Motion  Sleep\n"
        "2009-10-16 03:55:52         M021    Bedroom  Bed     OFF     Control4-Motion  Sleep\n"
        "2009-10-16 03:56:01.5       D002    Bedroom  Closet  OPEN    Control4-Door    Sleep"
    ),
}


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_gives_the_same_three_events(tmp_path: Path, dialect: str):
    log = read_log(written(tmp_path, DIALECTS[dialect]))
    cleaned = clean(log, None, name="here", drop_types=())
    events = cleaned.events
    assert (log.total, log.rejected) == (3, [])
    assert (events.time_us - events.time_us[0]).tolist() == [0, 1_999_971, 11_499_971]
    assert events.line.tolist() == [1, 2, 3]
    labels = [events.label.names[code] for code in events.label.codes]
    assert labels == ([NO_ACTIVITY] * 3 if dialect == "bare" else ["Sleep"] * 3)


def test_a_dialect_tells_rooms_and_types_where_it_has_them(tmp_path: Path):
    log = read_log(written(tmp_path, DIALECTS["columns"]))
    home = clean(log, None, name="here", drop_types=()).home
    assert home.derived
    assert {name: (s.room, s.type) for name, s in home.sensors.items()} == {
        "M021": ("Bedroom", "motion"),
        "D002": ("Bedroom", "door"),
    }


def test_a_cut_fraction_is_padded_on_the_right():
    midnight, _ = StampForm().moment("2011-06-15 00:00:00")
    stamps = ["2011-06-15 00:00:00.14962", "2011-06-15 00:00:01.", "2011-06-15 00:00:02"]
    assert (StampForm().read(stamps)[0] - midnight).tolist() == [149_620, 1_000_000, 2_000_000]


IRREGULAR = {
    "2009-10-16 08:00:01\tM012\tON0": "value is neither a state nor a number",
    "2009-10-16 08:00:02\tM012\tO": "value is neither a state nor a number",
    "2009-10-16 08:00:03\tM012\tON`": "value is neither a state nor a number",
    "2009-10-16 08:00:04\tM012\tONM026": "value is neither a state nor a number",
    "2009-10-16 08:00:05\tc\tON": "sensor not in home milan",
    "2009-10-16 08:00:06\tENTERHOME\tON": "pseudo-sensor",
    "   ": "blank line",
    "2009-10-16 08:00:07\tM012": "too few fields",
    "2009-13-41 08:00:08\tM012\tON": "no such date or time",
    "yesterday 08:00:09\tM012\tON": "no date and time",
    "2009-10-16 08:00:10\tM012\t23.5": "a number from a motion sensor",
    # A mark keeps such a line for a while, and its date is none: it was listed twice.
    "2009-13-41 08:00:13\tM012\tON0\tSleep end": "value is neither a state nor a number",
}


def test_every_unused_line_is_kept_with_its_number_and_reason(tmp_path: Path):
    good = "2009-10-16 07:00:00\tM012\tON"
    temperature = "2009-10-16 07:00:01\tT001\t21.5"
    log = read_log(written(tmp_path, "\n".join([good, *IRREGULAR, temperature])))
    cleaned = clean(log, load_home("milan"), name="milan", drop_types=("temperature",))
    assert cleaned.events.line.tolist() == [1]
    assert cleaned.dropped_types == {"temperature": 1}
    found = [(row.number, row.reason) for row in sorted(log.rejected)]
    assert found == list(enumerate(IRREGULAR.values(), start=2))
    (left_out,) = cleaned.dropped
    assert left_out == (14, "left out by type: temperature", "2009-10-16 07:00:01 T001 21.5")


def test_lines_out_of_order_are_sorted_and_counted(tmp_path: Path):
    text = "2009-10-16 08:00:02\tM012\tON\n2009-10-16 08:00:01\tM012\tOFF\n"
    cleaned = clean(read_log(written(tmp_path, text)), None, name="x", drop_types=())
    assert cleaned.events.line.tolist() == [2, 1]
    assert cleaned.noticed == {"line out of order": 1}


def test_lines_of_one_moment_keep_the_logs_order_and_are_in_order(tmp_path: Path):
    # By turns a second late and on time: 100 lines of each moment.
    text = "".join(f"2009-10-16 08:00:0{2 - row % 2}\tM{row:03d}\tON\n" for row in range(200))
    cleaned = clean(read_log(written(tmp_path, text)), None, name="x", drop_types=())
    assert cleaned.events.line.tolist() == [*range(2, 201, 2), *range(1, 201, 2)]
    assert cleaned.noticed == {"line out of order": 100}
    same = "2009-10-16 08:00:02\tM012\tON\n" * 3
    assert clean(read_log(written(tmp_path, same)), None, name="x", drop_types=()).noticed == {}


def test_an_activity_holds_its_first_and_its_last_event_and_lasts_from_mark_to_mark(tmp_path: Path):
    text = (
        "2009-10-16 08:00:01\tT001\t21.5\tCook begin\n"  # no event: temperatures are dropped
        "2009-10-16 08:00:02\tM012\tON\n"
        "2009-10-16 08:00:04\tM012\tOFF\tCook end\n"
        "2009-10-16 08:00:08\tM012\tON\n"
    )
    log = read_log(written(tmp_path, text))
    cleaned = clean(log, load_home("milan"), name="milan", drop_types=("temperature",))
    (cook,) = cleaned.activities
    assert (cook.first_event, cook.last_event) == (0, 1)
    assert cook.end_us - cook.begin_us == 3_000_000


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"hello world\n", b"\x00\xff\xfe" * 50, b"{" * 100_000, b"a b c d e f\n" * 3],
)
def test_a_file_that_is_no_log_is_refused_with_exit_3(tmp_path: Path, content: bytes):
    with pytest.raises(DataError) as caught:
        read_log(written(tmp_path, content))
    assert caught.value.exit_code == 3


def test_a_line_without_an_end_and_bytes_that_are_no_text_are_set_aside(tmp_path: Path):
    good = b"2009-10-16 08:00:02\tM012\tON\n"
    log = read_log(written(tmp_path, good + b"x" * 10_000_000 + b"\n" + b"\xff\xfe\n" + good))
    assert log.reasons() == {"longer than 4096 characters": 1, "not UTF-8": 1}
    assert log.number[log.is_event].tolist() == [1, 4]


def test_the_longest_line_that_is_read_has_4096_characters(tmp_path: Path):
    good = "2009-10-16 08:00:02 M012 ON"
    log = read_log(written(tmp_path, f"{good:<4096}\n{good:<4097}\n"))
    assert log.number[log.is_event].tolist() == [1]
    assert log.reasons() == {"longer than 4096 characters": 1}


FIELD = st.sampled_from(
    [
        "2009-10-16",
        "2009-13-41",
        "08:00:01.5",
        "M012",
        "ON",
        "OFF",
        "T001",
        "Sleep",
        "begin",
        "end",
        "",
        "\t",
        "é",
    ]
)


@settings(deadline=None)  # two cores are shared
@given(st.lists(st.lists(FIELD, max_size=7).map(" ".join), max_size=20))
def test_whatever_the_lines_hold_each_is_used_or_rejected(tmp_path_factory, rows: list[str]):
    good = "2009-10-16 09:00:00 M012 ON"
    path = written(tmp_path_factory.mktemp("log"), "\n".join([*rows, good]))
    try:
        log = read_log(path)
        cleaned = clean(log, load_home("milan"), name="milan", drop_types=("temperature",))
    except DataError:
        return
    assert len(cleaned.events) + len(log.rejected) + len(cleaned.dropped) == log.total


def test_a_line_that_only_looks_like_another_dialect_does_not_decide(tmp_path: Path):
    odd = "2009-10-16 2009-10-16 2009-10-16 2009-10-16 ON"
    log = read_log(written(tmp_path, f"{odd}\n2009-10-16 09:00:00 M012 ON"))
    assert (log.dialect.shape, log.number[log.is_event].tolist()) == ("marked", [2])


def test_labels_with_spaces_and_a_misspelt_begin_are_read(tmp_path: Path):
    text = (
        "2009-10-16 08:00:01\tM1\tON\tR2 take medicine begin\n"
        "2009-10-16 08:00:02\tM1\tOFF\tR2 take medicine end\n"
        "2009-10-16 08:00:03\tM1\tON\tSleep begub\n"
        "2009-10-16 08:00:04\tM1\tOFF\tSleep end\n"
    )
    events = clean(read_log(written(tmp_path, text)), None, name="x", drop_types=()).events
    labels = [events.label.names[code] for code in events.label.codes]
    assert labels == ["R2 take medicine"] * 2 + ["Sleep"] * 2
