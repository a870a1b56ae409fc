"""The simulated home: a raw log like a real one, the truth beside it, and the same for a seed."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from casas_ray.config import DataConfig, SimulateConfig
from casas_ray.corpus.clean import clean
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.homes import home_or_error
from casas_ray.corpus.log import read_log
from casas_ray.corpus.prepare import prepare
from casas_ray.corpus.simulate.physics import motion_lines
from casas_ray.corpus.simulate.routine import load_routine
from casas_ray.corpus.simulate.simulator import TRUTH_NAME, simulate, simulated_log
from casas_ray.corpus.simulate.statistics import statistics_of
from casas_ray.errors import DataError

MILAN = home_or_error("milan")


@pytest.fixture(scope="module")
def log() -> Path:
    return simulated_log(MILAN, SimulateConfig(days=10, seed=3))


def truth_of(log: Path) -> list[tuple[str, str, str]]:
    rows = log.with_name(TRUTH_NAME).read_text().splitlines()
    assert rows[0] == "activity\tbegin\tend"
    return [tuple(row.split("\t")) for row in rows[1:]]


def test_every_line_can_be_read_and_only_temperatures_are_dropped(log: Path):
    raw = read_log(log)
    cleaned = clean(raw, MILAN, name="milan", drop_types=("temperature",))
    assert raw.rejected == []
    assert set(cleaned.dropped_types) == {"temperature"}
    assert cleaned.noticed.keys() <= {"line out of order"}
    assert cleaned.noticed["line out of order"] > 0


def test_the_marks_are_the_truth_but_for_a_moment(log: Path):
    cleaned = clean(read_log(log), MILAN, name="milan", drop_types=("temperature",))
    truth = truth_of(log)
    assert len(truth) > 100
    assert 0.97 * len(truth) <= len(cleaned.activities) <= len(truth)
    begins = np.array([np.datetime64(begin, "us").astype(int) for _, begin, _ in truth])
    near = [np.abs(begins - one.begin_us).min() / 1e6 for one in cleaned.activities]
    assert np.quantile(near, 0.9) < 30.0


def test_days_differ_seeds_differ_and_a_seed_repeats():
    routine = load_routine()
    first, again, other = (
        simulate(MILAN, SimulateConfig(days=3, seed=seed), routine)[0] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    days = [sum(day <= line.second / 86_400 < day + 1 for line in first) for day in range(3)]
    assert len(set(days)) == 3


def test_its_statistics_are_those_of_a_lived_in_home(log: Path):
    found = statistics_of(log, MILAN)
    # The published log of Milan has 433,665 lines in 83 days, 5,225 a day.
    assert 3500 < found["events a day, mean"] < 7500
    assert 0.8 < found["seconds from ON to OFF, 10/50/90 %"][1] < 3.0
    assert 0.3 < found["events with an activity"] < 0.8
    assert len(found["activities"]) >= 8


def test_a_second_resident_lives_at_the_same_time_and_is_told_apart():
    config = DataConfig.build(
        {"simulated": True, "homes": "cairo", "simulate": {"days": 4, "residents": 2}}
    )
    prepared = prepare(config, logs_for(config))
    residents = prepared.manifest["homes"]["cairo"]["activities_by_resident"]
    assert set(residents) == {"R1", "R2"}
    rows = pq.read_table(prepared.folder / "activities.parquet").to_pylist()
    sleeps = [row for row in rows if row["activity"].endswith("Sleep")]
    assert any(
        one["resident"] == "R1" and one["begin_us"] < two["end_us"]
        for one in sleeps
        for two in sleeps
        if two["resident"] == "R2" and two["begin_us"] < one["end_us"]
    )


def test_a_sensor_stays_on_while_it_sees_movement_and_misses_some():
    rng = np.random.default_rng(0)
    lines = list(motion_lines("M001", [10.0, 10.5, 11.0, 500.0], 1, rng))
    near = [line for line in lines if line.second < 20.0]
    assert [line.state for line in near] == ["ON", "OFF"]
    moments = np.arange(0.0, 80_000.0, 10.0)
    seen = sum(line.state == "ON" for line in motion_lines("M001", moments.tolist(), 1, rng))
    assert 0.95 < seen / len(moments) < 0.99


def test_a_home_without_a_floor_plan_cannot_be_simulated():
    with pytest.raises(DataError, match="home 'kyoto' cannot be simulated"):
        simulated_log(home_or_error("kyoto"), SimulateConfig(days=3))


def lives(residents: int) -> dict[str, list[tuple[str, float, float]]]:
    """By mark of the resident: activity, begin and end, in seconds since the first midnight."""
    config = SimulateConfig(days=10, residents=residents)
    found: dict[str, list[tuple[str, float, float]]] = {}
    for planted in simulate(home_or_error("cairo"), config, load_routine())[1]:
        mark, name = planted.activity.split("_", 1) if residents > 1 else ("", planted.activity)
        found.setdefault(mark, []).append((name, planted.begin, planted.end))
    return found


def test_a_second_resident_has_a_life_of_its_own_and_changes_nothing_of_the_firsts():
    alone, two = lives(1)[""], lives(2)
    assert two["R1"] == alone
    lasting = [{round(end - begin, 3) for _, begin, end in two[mark]} for mark in ("R1", "R2")]
    assert len(lasting[0]) > 50
    assert lasting[0].isdisjoint(lasting[1])


def test_the_week_starts_on_a_friday_and_saturday_is_a_day_of_the_weekend():
    # Chores begin at 15:24 on weekdays and at 11:00 at the weekend, with a spread of 27 minutes.
    planted = simulate(MILAN, SimulateConfig(days=70), load_routine())[1]
    hours: dict[bool, list[float]] = {True: [], False: []}
    for day, second in (divmod(one.begin, 86_400.0) for one in planted if one.activity == "Chores"):
        hours[day % 7 in (1, 2)].append(second / 3600.0)
    assert min(len(found) for found in hours.values()) >= 8
    assert max(hours[True]) < 13.5 < min(hours[False])
    assert np.median(hours[False]) == pytest.approx(15.4, abs=0.5)


def test_a_sensors_on_is_held_until_its_own_off(tmp_path: Path):
    first = ["00\tM1\tON", "03\tM1\tOFF", "05\tM1\tON"]  # the last is never followed by its OFF
    lines = [*first, "06\tM2\tOFF", "07\tM2\tON", "14\tM2\tOFF"]
    path = tmp_path / "log"
    path.write_text("".join(f"2009-10-16 08:00:{line}\n" for line in lines))
    # M1 for 3 s and M2 for 7 s.
    found = statistics_of(path, None)["seconds from ON to OFF, 10/50/90 %"]
    assert found == pytest.approx([3.4, 5.0, 6.6])
