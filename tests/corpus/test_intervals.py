"""Logs of intervals with activities in a second file, in the forms in which public homes come."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.logs import classic, labels_of, lines, read

from casas_ray.corpus.intervals import is_interval_log, joined, read_intervals
from casas_ray.errors import DataError, SettingsError

PLAIN = "%Y-%m-%d %H:%M:%S"
NAMES = ("Fridge", "Bed", "Frontdoor", "ToiletFlush")
ROOMS = ("Kitchen", "Bedroom", "Entrance", "Bathroom")
TYPES = ("Magnetic", "Pressure", "Magnetic", "Flush")

Firing = tuple[datetime, datetime, int]


def firings() -> list[Firing]:
    """Twelve a day for three days, ten minutes apart: four sensors in turn, for 1 to 4 minutes."""
    found = []
    for index in range(36):
        begin = datetime(2011, 11, 20, 7) + timedelta(days=index // 12, minutes=10 * (index % 12))
        found.append((begin, begin + timedelta(minutes=index % 4 + 1), index % 4))
    return found


def activities() -> list[tuple[datetime, datetime, str]]:
    """Each day breakfast from 7 to 8, and television within it from 7:30 to 7:45."""
    days = [datetime(2011, 11, 20 + day) for day in range(3)]
    at = [(day + timedelta(hours=7), day + timedelta(hours=8), "Breakfast") for day in days]
    within = timedelta(hours=7, minutes=30), timedelta(hours=7, minutes=45)
    return at + [(day + within[0], day + within[1], "Spare_Time/TV") for day in days]


SENSORS: dict[str, tuple[str, Callable[[datetime, datetime, int], str]]] = {
    "heading, rule and padding": (
        "Start time   \tEnd time  \tLocation  \tType  \tPlace\n-----\t-----\t----\t----\t----\n",
        lambda begin, end, k: (
            f"{begin:{PLAIN}}\t\t{end:{PLAIN}}\t\t{NAMES[k]}  \t{TYPES[k]}\t{ROOMS[k]}"
        ),
    ),
    "months by name, numbers for names": (
        "",
        lambda begin, end, k: f"{begin:%d-%b-%Y %H:%M:%S}\t{end:%d-%b-%Y %H:%M:%S}\t{k + 5}\t1",
    ),
    "commas and a length": (
        "start,duration,sensor\n",
        lambda begin, end, k: f"{begin:{PLAIN}},{(end - begin).seconds},{NAMES[k]}",
    ),
    "a length in minutes": (
        "",
        lambda begin, end, k: f"{begin:{PLAIN}}\t{(end - begin).seconds // 60}:00\t{NAMES[k]}",
    ),
    "the sensor first": (
        "",
        lambda begin, end, k: f"{NAMES[k]},{begin:%Y-%m-%dT%H:%M:%S},{(end - begin).seconds}",
    ),
    "the end behind the sensor": (
        "",
        lambda begin, end, k: f"{begin:{PLAIN}},{NAMES[k]},{end:{PLAIN}}",
    ),
    "the end first": (
        "End,Start,Sensor\n",
        lambda begin, end, k: f"{end:{PLAIN}},{begin:{PLAIN}},{NAMES[k]}",
    ),
    "an end by the clock": (
        "",
        lambda begin, end, k: f"{NAMES[k]},{begin:%m/%d/%Y},{begin:%H:%M:%S},{end:%H:%M:%S}",
    ),
    "an end by the clock, with a heading": (
        "Sensor;Date;Start;End\n",
        lambda begin, end, k: f"{NAMES[k]};{begin:%d.%m.%Y};{begin:%H:%M:%S};{end:%H:%M:%S}",
    ),
    "ON beside both": (
        "",
        lambda begin, end, k: f"{begin:{PLAIN}}\t{end:{PLAIN}}\tON\t{NAMES[k]}",
    ),
    "spaces": ("", lambda begin, end, k: f"{begin:{PLAIN}} {end:{PLAIN}} {NAMES[k]}"),
    "seconds since 1970": (
        "",
        lambda begin, end, k: (
            ",".join(
                f"{(time - datetime(1970, 1, 1)).total_seconds():.0f}" for time in (begin, end)
            )
            + f",{NAMES[k]}"
        ),
    ),
}


def written(folder: Path, form: str) -> Path:
    heading, write = SENSORS[form]
    path = folder / "sensors.txt"
    path.write_text(heading + "".join(f"{write(*firing)}\n" for firing in firings()))
    return path


def annotated(folder: Path) -> Path:
    path = folder / "activities.txt"
    rows = (f"{begin:{PLAIN}}\t{end:{PLAIN}}\t{name}\n" for begin, end, name in activities())
    path.write_text("Start time\tEnd time\tActivity\n" + "".join(rows))
    return path


@pytest.mark.parametrize("form", SENSORS)
def test_on_at_the_start_off_at_the_end_and_overlapping_activities_kept(tmp_path: Path, form: str):
    sensors, labels = written(tmp_path, form), annotated(tmp_path)
    assert is_interval_log(sensors)
    text, notes = joined(sensors, labels)
    (tmp_path / "log").write_text(text)
    _, cleaned = read(tmp_path / "log")
    events = cleaned.events
    assert len(events) == 72
    assert events.state.counts() == {"ON": 36, "OFF": 36}
    first = [
        (events.sensor.names[events.sensor.codes[row]], int(events.gap_seconds[row]))
        for row in range(4)
    ]
    names = [f"sensor_{k + 5}" for k in range(4)] if "numbers" in form else NAMES
    assert first == [(names[0], 0), (names[0], 60), (names[1], 540), (names[1], 120)]
    # Six firings a day end within breakfast, two of them while the television is on; another begins
    # in the very second in which breakfast ends.
    assert (
        labels_of(cleaned)[:16]
        == ["Breakfast"] * 6 + ["Spare_Time/TV"] * 4 + ["Breakfast"] * 3 + ["no_activity"] * 3
    )
    assert len(cleaned.activities) == 6
    lengths = {
        each.label: (each.end_us - each.begin_us) // 60_000_000 for each in cleaned.activities
    }
    assert lengths == {"Breakfast": 60, "Spare_Time/TV": 15}
    assert any("intervals of a start" in note for note in notes)


def test_rooms_and_types_are_those_of_the_files_columns(tmp_path: Path):
    text, _ = joined(written(tmp_path, "heading, rule and padding"), None)
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    sensors = {name: (each.room, each.type) for name, each in cleaned.home.sensors.items()}
    assert sensors == {
        "Fridge": ("Kitchen", "door"),
        "Bed": ("Bedroom", "pressure"),
        "Frontdoor": ("Entrance", "door"),
        "ToiletFlush": ("Bathroom", "water"),
    }
    # The heading and the rule below it are set aside where a user sees them.
    assert log.reasons() == {"no date and time": 2}


def test_columns_can_be_named(tmp_path: Path):
    path = tmp_path / "sensors.txt"
    rows = (f"{begin:{PLAIN}}\t{end:{PLAIN}}\tx\t{NAMES[k]}\n" for begin, end, k in firings())
    path.write_text("".join(rows))
    found = read_intervals(path, "start,end,-,sensor").intervals
    assert [each.name for each in found[:4]] == list(NAMES)
    for columns in ("start,end,foo", "start,sensor"):
        with pytest.raises(SettingsError):
            read_intervals(path, columns)
    with pytest.raises(DataError, match="none of its lines holds"):
        read_intervals(path, "end,start,-,sensor")


def test_activities_may_lie_beside_a_log_of_events(tmp_path: Path):
    (tmp_path / "log").write_text(lines(lambda told: classic(told._replace(mark=""))))
    (tmp_path / "labels").write_text(
        "2016-03-07 00:00:00\t2016-03-08 00:00:00\tMonday\n"
        "2016-03-08 00:00:00\t2016-03-09 00:00:00\tTuesday\n"
    )
    text, _ = joined(tmp_path / "log", tmp_path / "labels")
    (tmp_path / "both").write_text(text)
    _, cleaned = read(tmp_path / "both")
    assert labels_of(cleaned) == ["Monday"] * 56 + ["Tuesday"] * 56 + ["no_activity"] * 224


def test_labels_that_sound_like_marks_are_labels_and_touching_ones_stay_two(tmp_path: Path):
    (tmp_path / "log").write_text(
        "".join(f"{b:{PLAIN}} {e:{PLAIN}} {NAMES[k]}\n" for b, e, k in firings())
    )
    (tmp_path / "labels").write_text(
        "2011-11-20 07:00:00,2011-11-20 07:30:00,end of the night (late)\n"
        "2011-11-20 07:30:00,2011-11-20 08:00:00,end of the night (late)\n"
        "2011-11-20 08:00:00,2011-11-20 09:00:00,Wash up\n"
        "2011-11-20 08:10:00,2011-11-20 09:30:00,Wash up\n"
    )
    text, notes = joined(tmp_path / "log", tmp_path / "labels")
    (tmp_path / "both").write_text(text)
    _, cleaned = read(tmp_path / "both")
    labels = [each.label for each in cleaned.activities]
    assert labels == ["end_of_the_night_late", "end_of_the_night_late", "Wash up"]
    assert cleaned.noticed == {}
    assert "1 activities overlap others of the same name; joined to one each" in notes


def test_an_interval_that_ends_before_it_starts_is_set_aside(tmp_path: Path):
    sensors = written(tmp_path, "spaces")
    with sensors.open("a") as out:
        out.write("2011-11-24 07:00:00 2011-11-24 06:00:00 Bed\n")
    text, _ = joined(sensors, None)
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), log.reasons()) == (72, {"no date and time": 1})
    assert "line 37: 2011-11-24 07:00:00" in log.rejected[0].text


def test_a_log_of_events_is_none_of_intervals_and_the_other_way_round(tmp_path: Path):
    for text in (lines(), lines(lambda t: f"{t.sensor},{t.time},{int(t.state in ('ON', 'OPEN'))}")):
        (tmp_path / "log").write_text(text)
        assert not is_interval_log(tmp_path / "log")
    (tmp_path / "log").write_text(lines())
    with pytest.raises(DataError, match="none of its lines holds a start, an end or a length"):
        read_intervals(tmp_path / "log")


def test_the_command_takes_both_files_and_remembers_what_it_made(run, tmp_path: Path):
    sensors, labels = written(tmp_path, "commas and a length"), annotated(tmp_path)
    words = ("data.windows.length=10", "data.split.val_share=0.3")
    both = ("--log", sensors, "--activities", labels)
    code, out, err = run("prepare", "intervals", *words, *both, "--json")
    assert code == 0, err
    assert "sensors.txt: read as intervals of a start and a length in seconds" in err
    assert f"reading {sensors}" in err
    quarantined = json.loads(out)["homes"]["intervals"]["quarantined"]
    assert quarantined["an activity's begin or end on a line of its own"] == 12
    sensors.unlink()
    assert run("prepare", "intervals", "data.windows.length=12", words[1])[0] == 0
