"""What stands beside events: types, rooms, labels alone, words that are no activity."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.log_forms import ROOMS, spelled
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


def test_words_behind_words_behind_a_label_are_no_part_of_it(tmp_path: Path):
    told = story()
    noted = {told[12].time: " see diary", told[40].time: " see diary XXX"}

    def write(each: Told) -> str:
        return f"{each.time:{STAMP}} {each.sensor} {each.state} {each.activity}" + noted.get(
            each.time, ""
        )

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    assert set(labels_of(cleaned)) == {each.activity for each in told}


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
