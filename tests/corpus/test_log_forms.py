"""The story of `support/logs.py` in the forms that tools and people leave: each is read whole, or
is refused with what it has that no log has."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.logs import (
    ACTIVITIES,
    EVENTS,
    STAMP,
    Told,
    classic,
    labels_of,
    lines,
    read,
    story,
    unlabelled,
)

from casas_ray.corpus.activities import Mark, Span, label_rows, spans_of
from casas_ray.corpus.annotation import Grammar
from casas_ray.corpus.events import NO_ACTIVITY
from casas_ray.corpus.stamps import NO_TIME, StampForm
from casas_ray.errors import DataError

Write = Callable[[Told], str]
ROOMS = {
    "M001": "Bed Room",
    "M002": "Bath Room",
    "M003": "Kitchen",
    "D001": "Kitchen Door",
    "M004": "Living Room",
    "M005": "TV corner",
}


def since_1970(told: Told, unit: timedelta) -> float:
    return (told.time - datetime(1970, 1, 1)) / unit


def tail(told: Told, before: str = "\t") -> str:
    return f"{before}{told.annotation}" if told.mark else ""


def spelled(told: Told, text: str) -> str:
    """A classic line whose annotation is spelled in another way."""
    return f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}" + (f"\t{text}" if told.mark else "")


def stated(told: Told, on: object, off: object) -> str:
    state = on if told.state in ("ON", "OPEN") else off
    return f"{told.time:{STAMP}}\t{told.sensor}\t{state}{tail(told)}"


SEPARATED: dict[str, Write] = {
    "tabs around names with spaces": lambda told: (
        f"{told.time:{STAMP}}\t{ROOMS[told.sensor]}\t{told.state}{tail(told)}"
    ),
    "date and time in columns of their own": lambda told: (
        f"{told.time:%Y-%m-%d}\t{told.time:%H:%M:%S.%f}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "a semicolon and decimals with a comma": lambda told: (
        f"{told.time:%d.%m.%Y};{told.time:%H:%M:%S,%f};{told.sensor};{told.state}{tail(told, ';')}"
    ),
    "commas, one of them within the seconds": lambda told: (
        f"{told.time:%Y-%m-%d,%H:%M:%S,%f},{told.sensor},{told.state}{tail(told, ',')}"
    ),
    "quoted columns": lambda told: (
        f'"{told.time:%Y-%m-%d}","{told.time:%H:%M:%S.%f}","{told.sensor}","{told.state}"'
        + (f',"{told.activity}=""{told.mark}"""' if told.mark else "")
    ),
    "label and mark in columns of their own": lambda told: (
        f"{told.time:{STAMP}},{told.sensor},{told.state}"
        + (f",{told.activity},{told.mark}" if told.mark else ",,")
    ),
    "the sensor before the time": lambda told: (
        f"{told.sensor},{told.time:{STAMP}},{told.state}{tail(told, ',')}"
    ),
    "padding": lambda told: (
        f"{told.time:{STAMP}}   {told.sensor:8}  {told.state:8}{tail(told, ' ')}   "
    ),
}
TIMED: dict[str, Write] = {
    "half days": lambda told: (
        f"{told.time:%Y-%m-%d %I:%M:%S %p} {told.sensor} {told.state}{tail(told, ' ')}"
    ),
    "half days in a column": lambda told: (
        f"{told.time:%m/%d/%Y\t%I:%M:%S\t%p}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "the day before the month": lambda told: (
        f"{told.time:%d/%m/%Y %H:%M:%S}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "months by name": lambda told: (
        f"{told.time:%d-%b-%Y %H:%M:%S}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "an offset after a space": lambda told: (
        f"{told.time:{STAMP}} -0800 {told.sensor} {told.state}{tail(told, ' ')}"
    ),
    "an offset in a column": lambda told: (
        f"{told.time:{STAMP}}\t-08:00\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "T and Z": lambda told: (
        f"{told.time:%Y-%m-%dT%H:%M:%S.%fZ},{told.sensor},{told.state}{tail(told, ',')}"
    ),
    "a zone by name": lambda told: (
        f"{told.time:%Y-%m-%d %H:%M:%S} PST {told.sensor} {told.state}{tail(told, ' ')}"
    ),
    "a second time": lambda told: (
        f"{told.time:{STAMP}} {told.time + timedelta(hours=8):{STAMP}} {told.sensor} {told.state}"
        f"{tail(told, ' ')}"
    ),
    "a date after the time": lambda told: (
        f"{told.time:{STAMP}}\t{told.time:%Y-%m-%d}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "a zone by its city": lambda told: (
        f"{told.time:%Y-%m-%dT%H:%M:%S.%f}+01:00[Europe/Berlin]\t{told.sensor}\t{told.state}"
        f"{tail(told)}"
    ),
    "nine digits": lambda told: f"{told.time:{STAMP}}123\t{told.sensor}\t{told.state}{tail(told)}",
    "no seconds": lambda told: (
        f"{told.time:%Y-%m-%d %H:%M}\t{told.sensor}\t{told.state}{tail(told)}"
    ),
    "seconds since 1970": lambda told: (
        f"{since_1970(told, timedelta(seconds=1)):.6f} {told.sensor} {told.state}{tail(told, ' ')}"
    ),
    "milliseconds since 1970": lambda told: (
        f"{since_1970(told, timedelta(milliseconds=1)):.0f}\t{told.sensor}\t{told.state}"
        f"{tail(told)}"
    ),
    "microseconds since 1970": lambda told: (
        f"{since_1970(told, timedelta(microseconds=1)):.0f},{told.sensor},{told.state}"
        f"{tail(told, ',')}"
    ),
}
ANNOTATED: dict[str, Write] = {
    "assigned": lambda told: spelled(told, f'{told.activity}="{told.mark}"'),
    "assigned with spaces": lambda told: spelled(told, f"{told.activity} = '{told.mark}'"),
    "hanging on": lambda told: spelled(told, f"{told.activity}_{told.mark}"),
    "hanging on in capitals": lambda told: spelled(told, told.activity + told.mark.title()),
    "assigned the other way round": lambda told: spelled(told, f'{told.mark}="{told.activity}"'),
    "after a colon": lambda told: spelled(told, f"{told.activity}:{told.mark}"),
    "shouted": lambda told: spelled(told, f"{told.activity} {told.mark.upper()}"),
    "before the label": lambda told: spelled(told, f"{told.mark} {told.activity}"),
    "start and stop": lambda told: spelled(
        told, f"{told.activity} {'start' if told.mark == 'begin' else 'stop'}"
    ),
    "misspelt": lambda told: spelled(told, told.annotation.replace("begin", "begub")),
    "with a question mark": lambda told: spelled(told, f"{told.annotation}?"),
    "with a note": lambda told: spelled(told, f"{told.annotation} (he says)"),
    "with a word": lambda told: spelled(told, f"{told.annotation} approx"),
    "in brackets": lambda told: spelled(told, f"{told.activity} ({told.mark})"),
    "in square brackets": lambda told: spelled(told, f"{told.activity} [{told.mark}]"),
    "in brackets at once": lambda told: spelled(told, f"{told.activity}({told.mark})"),
    "after a slash": lambda told: spelled(told, f"{told.activity}/{told.mark}"),
    "beginning and ending": lambda told: spelled(
        told, f"{told.activity} {told.mark}{'ning' if told.mark == 'begin' else 'ing'}"
    ),
    "after a type": lambda told: spelled(told, f"Control4-Motion\t{told.annotation}"),
    "before more columns": lambda told: spelled(told, f"{told.annotation}\t0.93\tfoo\t"),
    "alone between begin and end": lambda told: (
        f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}\t{told.activity}"
        + (f'="{told.mark}"' if told.mark else "")
    ),
    "alone until the end": lambda told: (
        f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}\t{told.activity}"
        + ('="begin"' if told.mark == "begin" else "")
    ),
}
STATED: dict[str, Write] = {
    "true": lambda told: stated(told, "true", "false"),
    "1": lambda told: stated(told, 1, 0),
    "Present": lambda told: stated(told, "Present", "Absent"),
    "Opened": lambda told: stated(told, "Opened", "Closed"),
    "on": lambda told: stated(told, "on", "Off"),
}
FORMS = SEPARATED | TIMED | ANNOTATED | STATED


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_story(tmp_path: Path, form: str):
    path = tmp_path / "log"
    path.write_text(lines(FORMS[form]))
    log, cleaned = read(path)
    assert log.rejected == []
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert unlabelled(cleaned) == 0
    told = story()
    assert labels_of(cleaned) == [each.activity for each in told]
    wanted = np.array([each.time for each in told], "datetime64[us]").astype(np.int64)
    # Forms that leave out seconds, or parts of one, keep the rest.
    apart = np.abs(cleaned.events.time_us - wanted).max()
    assert apart < (60_000_000 if form == "no seconds" else 1_000_000)
    if form in SEPARATED:
        assert apart == 0


@pytest.mark.parametrize("between", [" ", ", ", "; ", "\t", " and ", " & ", " / ", " | "])
def test_two_marks_on_a_line_both_act(tmp_path: Path, between: str):
    text, before = "", ""
    for told in story():
        is_own = told.mark == "begin" or told == story()[-1]
        marks = [before, told.annotation if is_own else ""]
        before = told.annotation if told.mark == "end" else ""
        said = between.join(mark for mark in marks if mark)
        text += f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}\t{said}\n"
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.activities), unlabelled(cleaned), log.rejected) == (ACTIVITIES, 0, [])
    assert set(labels_of(cleaned)) == {told.activity for told in story()}


@pytest.mark.parametrize("marks", [("{} in", "{} out"), ("<{}>", "</{}>"), ("{} +", "{} -")])
def test_marks_that_are_not_understood_are_said(tmp_path: Path, marks: tuple[str, str]):
    def write(told: Told) -> str:
        return spelled(told, marks[told.mark == "end"].format(told.activity))

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    (note,) = cleaned.notes
    assert note.startswith(f"72 of 72 activities hold one event; if '{marks[0].format('Sleep')}',")


WESTERN = "Küche"


@pytest.mark.parametrize(
    ("encoding", "ends"),
    [
        ("utf-8", "\n"),
        ("utf-8-sig", "\r\n"),
        ("utf-8", "\r"),
        ("utf-16", "\r\n"),
        ("utf-16-le", "\n"),
        ("utf-16-be", "\r\n"),
        ("utf-32", "\n"),
        ("cp1252", "\n"),
        ("latin-1", "\r\n"),
    ],
)
def test_every_encoding_and_line_end_gives_the_story(tmp_path: Path, encoding: str, ends: str):
    text = lines().replace("M003", WESTERN).replace("\n", ends)
    (tmp_path / "log").write_bytes(text.encode(encoding))
    log, cleaned = read(tmp_path / "log")
    assert (log.total, log.rejected, len(cleaned.activities)) == (EVENTS, [], ACTIVITIES)
    assert WESTERN in cleaned.events.sensor.names
    assert cleaned.events.line.tolist() == list(range(1, EVENTS + 1))


def zipped(text: bytes, *names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return held.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda text: zipped(text, "home/log.txt"),
        lambda text: zipped(text, "log.txt", "__MACOSX/._log.txt"),
    ],
)
def test_a_packed_log_is_unpacked_whatever_its_name(tmp_path: Path, pack: Callable):
    (tmp_path / "log.txt").write_bytes(pack(lines().encode()))
    log, cleaned = read(tmp_path / "log.txt")
    assert (log.total, len(cleaned.activities)) == (EVENTS, ACTIVITIES)


def archived(text: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        about = tarfile.TarInfo("log.txt")
        about.size = len(text)
        archive.addfile(about, io.BytesIO(text))
    return held.getvalue()


def test_files_with_a_byte_order_mark_may_be_joined(tmp_path: Path):
    halves = (lines(told=story()[:168]), lines(told=story()[168:]))
    (tmp_path / "log").write_bytes(b"".join(half.encode("utf-8-sig") for half in halves))
    log, cleaned = read(tmp_path / "log")
    assert (log.rejected, len(cleaned.activities)) == ([], ACTIVITIES)


LIKE = "like the classic form, but for "
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it has no lines with text"),
    "blank": (b"\n \n", "it has no lines with text"),
    "a zip of two": (zipped(b"x", "a.txt", "b.txt"), "is a zip of 2 files: a.txt, b.txt"),
    "a torn gzip": (gzip.compress(lines().encode())[:-9], "ended before"),
    "a tar archive": (archived(lines().encode()), "is a tar archive"),
    "a packed tar archive": (gzip.compress(archived(lines().encode())), "is a tar archive"),
    "a Parquet file": (b"PAR1" + bytes(900), "is a Parquet file, not a log"),
    "a database": (b"SQLite format 3\0" + bytes(900), "is a SQLite database, not a log"),
    "an unknown zone": (
        lines(lambda told: f"{told.time:{STAMP}}_XYZ\t{told.sensor}\t{told.state}").encode(),
        f"{LIKE}`_XYZ` after the time",
    ),
    "an unknown separator": (
        lines(lambda told: f"{told.time:{STAMP}}~{told.sensor}~{told.state}").encode(),
        f"{LIKE}`~M00",
    ),
    "unknown states": (
        lines(lambda told: f"{told.time:{STAMP}}\t{told.sensor}\tTRIGGERED").encode(),
        f"{LIKE}`TRIGGERED` where it has a value",
    ),
    "no value": (
        lines(lambda told: f"{told.time:{STAMP}}\t{told.sensor}").encode(),
        "without a value after the sensor",
    ),
    "an unknown date": (
        lines(lambda told: f"{told.time:%Y-%j %H:%M:%S}\t{told.sensor}\t{told.state}").encode(),
        f"{LIKE}`2016-0",
    ),
    "another dialect from line 169 on": (
        (
            lines(told=story()[:168])
            + lines(lambda told: FORMS["T and Z"](told), told=story()[168:])
        ).encode(),
        "line 169 is of another form than the lines that were understood, and so are 168 of 336",
    ),
    "another layout from line 169 on": (
        (
            lines(told=story()[:168])
            + lines(
                lambda told: f"{told.time:{STAMP}}\tBedroom\tBed\t{told.state}", told=story()[168:]
            )
        ).encode(),
        "line 169 is of another form than the lines that were understood, and so are 168 of 336",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_says_what_the_file_has_that_no_log_has(tmp_path: Path, what: str):
    content, wanted = REFUSED[what]
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "log")
    assert wanted in caught.value.problem
    assert str(tmp_path / "log") in caught.value.problem


def test_what_is_no_file_is_named_for_what_it_is(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path, wanted in (
        (tmp_path / "pipe", "is a pipe, which can be read only once"),
        (tmp_path, "is a folder"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / "nowhere", "no such file"),
    ):
        with pytest.raises(DataError, match=wanted):
            read(path)


def test_a_few_lines_of_another_form_are_set_aside_with_their_reasons(tmp_path: Path):
    told = story()
    text = lines(told=told[:330]) + lines(FORMS["T and Z"], told=told[330:])
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), log.reasons()) == (
        330,
        {"written in another form than the rest": 6},
    )


def test_clocks_that_were_not_set_make_no_days_and_their_marks_still_act(tmp_path: Path):
    told = [
        each._replace(time=each.time.replace(year=2000, month=1, day=1))
        if (each.activity, each.time.day) == ("Bathe", 9)
        else each
        for each in story()
    ]
    extra = "".join(f"1970-01-01 00:{minute:02d}:01.5\tM001\tON\n" for minute in range(20))
    (tmp_path / "log").write_text(lines(told=told) + extra)
    log, cleaned = read(tmp_path / "log")
    assert log.reasons() == {
        "a clock that was not set: 2000": 8,
        "a clock that was not set: 1970": 20,
    }
    assert len(np.unique(cleaned.events.day)) == 6
    # The one bath has no event left, and is still an activity that began and ended.
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS - 8, ACTIVITIES)
    assert unlabelled(cleaned) == 0


def test_a_home_that_was_watched_again_years_later_keeps_both_times(tmp_path: Path):
    later = [each._replace(time=each.time.replace(year=2019)) for each in story()]
    (tmp_path / "log").write_text(lines(told=[*story(), *later]))
    log, cleaned = read(tmp_path / "log")
    assert (log.rejected, len(cleaned.events)) == ([], 2 * EVENTS)


@pytest.mark.parametrize("seconds", [f"{STAMP}", "%Y-%m-%d %H:%M:%S"])
def test_exports_that_overlap_are_counted_once(tmp_path: Path, seconds: str):
    def write(told: Told) -> str:
        return f"{told.time:{seconds}}\t{told.sensor}\t{told.state}{tail(told)}"

    (tmp_path / "log").write_text(lines(write) + lines(write, told=story()[100:200]))
    log, cleaned = read(tmp_path / "log")
    assert log.reasons() == {"exact repeat of an earlier line": 100}
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)


def test_within_one_whole_second_a_sensor_may_say_the_same_twice(tmp_path: Path):
    text = "2016-03-07 01:04:00\tM001\tON\n2016-03-07 01:04:00\tM001\tOFF\n" * 2
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), log.rejected) == (4, [])


def test_a_log_written_twice_line_by_line_is_counted_once(tmp_path: Path):
    def write(told: Told) -> str:
        line = f"{told.time:%Y-%m-%d %H:%M:%S}\t{told.sensor}\t{told.state}{tail(told)}"
        return f"{line}\n{line}"

    (tmp_path / "log").write_text(lines(write))
    log, cleaned = read(tmp_path / "log")
    assert log.reasons() == {"exact repeat of an earlier line": EVENTS}
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)


def night(put_back: int, day: str = "2016-11-06", offsets: tuple[str, str] = ("", "")) -> str:
    """An event each five minutes through the hour after `put_back` o'clock, which comes twice."""
    runs = [
        f"{day} {put_back:02d}:{minute:02d}:00.5{offset}\tM00{number}\tON\n"
        for number, offset in ((1, offsets[0]), (2, offsets[1]))
        for minute in range(0, 60, 5)
    ]
    return "".join(runs) + f"{day} 09:00:00.5{offsets[1]}\tM001\tOFF\n"


@pytest.mark.parametrize(
    ("day", "hour", "offsets"),
    [
        ("2016-11-06", 1, ("", "")),  # United States
        ("2016-10-30", 2, ("", "")),  # Europe
        ("2016-04-03", 2, ("", "")),  # Australia
        ("2016-06-01", 1, ("-07:00", "-08:00")),  # wherever it says so
    ],
)
def test_an_hour_that_comes_twice_keeps_its_order_and_nearly_its_gaps(
    tmp_path: Path, day: str, hour: int, offsets: tuple[str, str]
):
    (tmp_path / "log").write_text(night(hour, day, offsets))
    _, cleaned = read(tmp_path / "log")
    assert cleaned.events.line.tolist() == list(range(1, 26))
    assert cleaned.noticed == {"line of an hour that came twice": 12}
    gaps = cleaned.events.gap_seconds[12:24]
    assert ((gaps > 180) & (gaps <= 300)).all()


@pytest.mark.parametrize(
    ("day", "offsets"), [("2016-06-01", ("", "")), ("2016-11-06", ("+00:00", "+00:00"))]
)
def test_going_back_on_any_other_night_is_lines_out_of_order(
    tmp_path: Path, day: str, offsets: tuple[str, str]
):
    (tmp_path / "log").write_text(night(1, day, offsets))
    _, cleaned = read(tmp_path / "log")
    assert cleaned.noticed == {"line out of order": 1}
    assert cleaned.events.line.tolist()[:4] == [1, 13, 2, 14]


def test_numbers_of_a_sensor_beside_its_states_are_left_out_by_the_lines_own_type(tmp_path: Path):
    battery = "2016-03-07 02:00:00\tM001\t93\tControl4-BatteryPercent\n"
    light = "2016-03-07 02:00:01\tLS001\t37\tControl4-LightSensor\n"
    radio = "2016-03-07 02:00:02\tM001\tOK\tControl4-Radio\n"
    motion = lines(lambda told: spelled(told._replace(mark="x"), "Control4-Motion"))
    (tmp_path / "log").write_text(motion + battery + light + radio)
    log, cleaned = read(tmp_path / "log")
    assert cleaned.dropped_types == {"battery": 1, "light_level": 1, "radio": 1}
    assert (len(cleaned.events), log.rejected) == (EVENTS, [])
    assert cleaned.home.sensors["M001"].type == "motion"


def test_a_room_after_the_value_is_no_activity(tmp_path: Path):
    def write(told: Told) -> str:
        line = f"{told.time:{STAMP}},{told.sensor},{told.state},{ROOMS[told.sensor]}"
        return line + (f",{told.annotation}" if told.mark else "")

    (tmp_path / "log").write_text(lines(write))
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.activities), unlabelled(cleaned), log.rejected) == (ACTIVITIES, 0, [])
    assert cleaned.home.sensors["M001"].room == "Bed Room"
    assert cleaned.notes == ("the column after the value is read as the room",)


def test_the_first_state_may_come_after_fifty_thousand_numbers(tmp_path: Path):
    start = datetime(2016, 3, 1)
    numbers = "".join(
        f"{start + timedelta(seconds=10 * index):{STAMP}}\tT001\t{20 + index % 9 / 2}\n"
        for index in range(50_000)
    )
    (tmp_path / "log").write_text(numbers + lines())
    _, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert cleaned.dropped_types == {"temperature": 50_000}


@pytest.mark.parametrize("mark", ["{0}_{1}", "{0} {2}"])
def test_marks_that_come_first_after_the_head_are_still_marks(tmp_path: Path, mark: str):
    start = datetime(2016, 2, 1)
    before = "".join(
        f"{start + timedelta(seconds=10 * index, microseconds=5):{STAMP}}\tM009\tON\n"
        for index in range(30_000)
    )

    def write(told: Told) -> str:
        return spelled(
            told, mark.format(told.activity, told.mark, "start" if told.mark == "begin" else "stop")
        )

    (tmp_path / "log").write_text(before + lines(write))
    _, cleaned = read(tmp_path / "log")
    assert (len(cleaned.activities), unlabelled(cleaned)) == (ACTIVITIES, 30_000)


NOTES = ("battery changed", "visitor?", "guests came over", "# odd", "(nobody home)", "12")


@pytest.mark.parametrize("note", NOTES)
def test_a_few_notes_in_a_log_without_labels_are_no_activity(tmp_path: Path, note: str):
    def write(told: Told) -> str:
        line = f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}"
        return f"{line}\t{note}" if told == story()[50] else line

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), unlabelled(cleaned)) == (EVENTS, EVENTS)
    assert len(cleaned.dropped) == 0
    assert sum(cleaned.noticed.values()) == 1


@pytest.mark.parametrize("note", NOTES)
def test_notes_between_begins_and_ends_are_no_activity(tmp_path: Path, note: str):
    told = story()
    noted = {each.time for each in told[3::50] if not each.mark}

    def write(each: Told) -> str:
        return f"{classic(each)}\t{note}" if each.time in noted else classic(each)

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    assert len(cleaned.events) == EVENTS
    assert set(labels_of(cleaned)) == {each.activity for each in told}


def test_a_stray_word_after_labels_on_every_line_is_no_part_of_them(tmp_path: Path):
    def write(told: Told) -> str:
        word = " maybe" if told.time.second % 9 == 0 else ""
        word += " maybe" if told.time.second % 27 == 0 else ""
        return f"{told.time:{STAMP}} Room Room {told.state} {told.activity}{word}"

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    assert set(labels_of(cleaned)) == {each.activity for each in story()}


def test_a_word_behind_a_label_that_follows_its_mark_is_no_part_of_it(tmp_path: Path):
    told = story()
    # Of the first nap's begin and end, and of one begin of another activity.
    noted = {told[0].time: "maybe", told[7].time: "maybe", told[8].time: "0.93"}

    def write(each: Told) -> str:
        line = f"{each.time:{STAMP}} {each.sensor} {each.state}"
        tail = f" {each.mark} {each.activity} {noted.get(each.time, '')}" if each.mark else ""
        return line + tail.rstrip()

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    assert set(labels_of(cleaned)) == {each.activity for each in told}
    assert (len(cleaned.activities), unlabelled(cleaned)) == (ACTIVITIES, 0)


def test_a_label_that_begins_like_another_is_its_own(tmp_path: Path):
    def write(told: Told) -> str:
        label = f"{told.activity} at last" if told.time.day == 9 else told.activity
        return spelled(told, f"{label} {told.mark}")

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    labels = {each.activity for each in story()}
    assert set(labels_of(cleaned)) == labels | {f"{label} at last" for label in labels}


def test_an_activity_of_single_lines_is_one_where_labels_alone_are_usual():
    grammar = Grammar()
    assert grammar.read(["Toilet"]).label == "Toilet"
    found = spans_of([Mark(0, "Sleep", "begin"), Mark(4, "Sleep", "end")], [Span(2, 2, "Toilet")])
    assert label_rows(found.spans, 6) == ["Sleep", "Sleep", "Toilet", "Sleep", "Sleep", NO_ACTIVITY]


def test_times_that_are_none_are_none():
    form = StampForm()
    for text in ("2016-13-07 01:04:00", "2016-03-07 25:00:00", "2016-03-07 13:00:00 PM", "now", ""):
        assert form.moment(text)[0] == NO_TIME
    for text in ("today", "NaT", "2016", "2016-03-07"):
        assert form.read([text])[0].tolist() == [NO_TIME]


def test_more_bad_times_than_good_ones_are_told_apart_one_by_one():
    stamps = [
        "2016-03-07 01:04:00" if index % 3 == 0 else "2016-02-31 01:04:00" for index in range(999)
    ]
    times, _ = StampForm().read(stamps)
    assert Counter((times == NO_TIME).tolist()) == {True: 666, False: 333}
