"""A plan has its sensors where they hang, and rooms as boxes where nobody knows; names are text."""

import re

from casas_ray.report.floor_plan import FloorPlan, Spot
from casas_ray.report.profiles import hours, weekdays

HOSTILE = '"><script>x</script>\x1b'


def test_heat_lies_where_the_sensor_hangs_and_its_area_is_the_share():
    spots = [Spot("M1", "kitchen", (0.0, 0.0)), Spot("M2", "kitchen", (1.0, 0.5))]
    drawn = str(FloorPlan(spots).drawn({"M1": 0.25, "M2": 1.0}, "all"))
    radii = [float(each) - 1.0 for each in re.findall(r'class="heat".*? r="([0-9.]+)"', drawn)]
    assert radii[1] == 2 * radii[0]
    assert 'cx="6.0" cy="6.0"' in drawn
    assert 'cx="94.0" cy="50.0"' in drawn
    assert "M1, kitchen: 25% of events" in drawn


def test_without_places_rooms_are_boxes_with_the_sum_of_their_sensors():
    spots = [Spot("a", "bath", None), Spot("b", "bath", None), Spot("c", HOSTILE, None)]
    drawn = str(FloorPlan(spots).drawn({"a": 0.25, "b": 0.5, "c": 0.25}, HOSTILE))
    assert "75%" in drawn
    assert "<script" not in drawn
    assert "\x1b" not in drawn


def test_profiles_say_the_cluster_s_share_and_the_home_s():
    drawn = str(hours([0.5, 0.5, *[0.0] * 22], [1 / 24] * 24))
    assert "<title>1:00: 50%, the home 4%</title>" in drawn
    assert str(weekdays([1.0, *[0.0] * 6], [1 / 7] * 7)).count("<rect") == 7
