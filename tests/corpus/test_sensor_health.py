"""Sensors that bounce are settled where asked; those that seem inverted or stuck are named."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.config import DataConfig, Recipe, WindowConfig
from casas_ray.corpus.events import Coded, Events
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.new_events import KnownHomes, events_of, windows_like
from casas_ray.corpus.prepare import prepare
from casas_ray.corpus.sensor_health import bouncing, remarks
from casas_ray.corpus.windows import cut
from casas_ray.paths import raw

SECOND = 1_000_000


def events(said: list[tuple[float, str, str]]) -> Events:
    """Events of (seconds, sensor, state)."""
    seconds, sensors, states = zip(*said, strict=True)
    return Events(
        np.array([round(each * SECOND) for each in seconds]),
        np.arange(len(said)),
        Coded.of(sensors),
        Coded.of(states),
        Coded.of(["no_activity"] * len(said)),
    )


def kept(said: list[tuple[float, str, str]], seconds: float) -> list[tuple[float, str, str]]:
    table = events(said)
    bounces = bouncing(table.time_us, table.sensor.codes, table.state.codes, seconds)
    return [each for each, left_out in zip(said, bounces.tolist(), strict=True) if not left_out]


def test_a_burst_is_its_first_event_and_its_last_where_that_says_something_else():
    mat = [(0.0, "bed", "ON"), (0.4, "bed", "OFF"), (0.9, "bed", "ON"), (1.5, "bed", "OFF")]
    door = [(0.5, "door", "OPEN"), (60.0, "door", "CLOSE")]
    after = [(70.0, "bed", "ON"), (70.9, "bed", "OFF"), (71.8, "bed", "ON"), (90.0, "bed", "OFF")]
    found = kept(sorted(mat + door + after), 1.0)
    wanted = [mat[0], mat[3], *door, after[0], after[3]]
    assert found == sorted(wanted)
    assert kept(mat, 0.3) == mat
    # A short pulse alone is no bounce.
    assert kept(mat[:2], 5.0) == mat[:2]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from("ab"), st.sampled_from(["ON", "OFF"]))),
    st.integers(1, 20),
)
def test_whatever_bounces_each_sensor_keeps_its_first_event_and_says_last_what_it_said_last(
    said: list[tuple[int, str, str]], seconds: int
):
    said = sorted(said, key=lambda each: each[0])
    if not said:
        return
    found = kept([(float(time), *rest) for time, *rest in said], seconds)
    for sensor in {each[1] for each in said}:
        before = [each for each in said if each[1] == sensor]
        after = [each for each in found if each[1] == sensor]
        assert (after[0], after[-1][2]) == (before[0], before[-1][2])
    times = np.array([time for time, *_ in said])
    if all(np.diff(times) >= seconds):
        assert len(found) == len(said)


def test_a_sensor_that_is_mostly_on_and_one_that_never_changes_are_named():
    walks = [
        event
        for minute in range(0, 600, 10)
        for event in ((60.0 * minute, "hall", "ON"), (60.0 * minute + 5, "hall", "OFF"))
    ]
    reversed_door = [
        (time + 1, "door", "ON" if state == "OFF" else "OFF") for time, _, state in walks
    ]
    silent = [(time + 2, "cup", "ON") for time, _, _ in walks]
    found = remarks(events(sorted(walks + reversed_door + silent)))
    assert found == [
        "door is on for 99% of the time: inverted, or left open?",
        "cup never changed while others did: stuck, or half a sensor?",
    ]
    # Where sensors never say OFF, that is how the log is.
    assert remarks(events(sorted(silent))) == []


def test_windows_end_where_nothing_happens_for_longer():
    table = events([(60.0 * minute, "a", "ON") for minute in (*range(10), *range(40, 50))])
    config = WindowConfig(length=8, overlap=0.0, min_events=2, max_gap_minutes=29.0)
    found = cut(table, [(0, 20)], config)
    assert [*zip(found.first.tolist(), found.after.tolist(), strict=True)] == [
        (0, 8),
        (8, 10),
        (10, 18),
        (18, 20),
    ]
    whole = cut(table, [(0, 20)], config.replace({"max_gap_minutes": 31.0}))
    assert whole.after.tolist() == [8, 16, 20]


@pytest.fixture
def bouncing_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ten days in which a mat bounces at each press."""
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    folder = raw() / "somewhere"
    folder.mkdir(parents=True)
    lines = []
    for day in range(16, 26):
        for minute in range(10, 50):
            lines += [
                f"2009-10-{day} 08:{minute}:{second:04.1f}00000\tM001\t{state}"
                for second, state in ((2.0, "ON"), (2.3, "OFF"), (2.6, "ON"), (30.0, "OFF"))
            ]
    (folder / "data").write_text("\n".join(lines) + "\n")
    return "somewhere"


def test_a_set_is_made_without_bounces_where_asked_and_new_events_are_read_alike(
    bouncing_home: str,
):
    plain = DataConfig.build({"homes": [bouncing_home]})
    settled = plain.replace({"clean.debounce_seconds": 1.0})
    sets = [prepare(config, logs_for(config)) for config in (plain, settled)]
    assert sets[0].folder != sets[1].folder
    about = [each.manifest["homes"][bouncing_home] for each in sets]
    assert (about[0]["used"], about[1]["used"]) == (1600, 800)
    assert about[1]["quarantined"] == {"its sensor bounces": 800}
    table = pq.read_table(sets[0].folder / "events.parquet").slice(0, 160)
    columns = {
        "time": table.column("time_us").to_numpy().astype("datetime64[us]"),
        "sensor": table.column("sensor").to_pylist(),
        "state": table.column("state").to_pylist(),
    }
    known = KnownHomes.build(KnownHomes.of(sets[1]).as_dict())
    windows, _ = windows_like(known, events_of(columns), settled.windows, bouncing_home)
    first = sets[1].windows("train")
    assert windows.column("id_state").to_pylist()[:3] == first.column("id_state").to_pylist()[:3]


def test_settings_of_cleaning_and_gaps_leave_digests_as_they_were_until_they_are_used():
    recipe = Recipe()
    assert "clean" not in recipe.told()["data"]
    assert "max_gap_minutes" not in recipe.told()["data"]["windows"]
    for change in ({"data.clean.debounce_seconds": 2.0}, {"data.windows.max_gap_minutes": 30.0}):
        assert recipe.replace(change).digest() != recipe.digest()
