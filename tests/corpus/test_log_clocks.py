"""What clocks and exports do to a log: unset, put back, written twice."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.log_forms import tail
from support.logs import ACTIVITIES, EVENTS, STAMP, Told, lines, read, story, unlabelled

from casas_ray.corpus.stamps import NO_TIME, StampForm


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
