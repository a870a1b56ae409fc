"""Rooms and types that names tell."""

import pytest

from casas_ray.corpus.sensor_names import room_from_name, type_family


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("BedroomABed", "bedroom"),
        ("MasterBedroom", "bedroom"),
        ("masterbedroom", "bedroom"),
        ("bed_room", "bedroom"),
        ("KitchenASink", "kitchen"),
        ("KITCHEN_SINK", "kitchen"),
        ("LIVINGROOM", "living_room"),
        ("livingroom_couch", "living_room"),
        ("DiningRoomAChair", "dining_room"),
        ("BathroomAToilet", "bathroom"),
        ("Bathtub", "bathroom"),
        ("OutsideDoor", "entrance"),
        ("FrontBedroom", "bedroom"),
        ("WorkAreaDesk", "office"),
        ("M012", ""),
        ("Broom", ""),
        ("Mushroom", ""),
        ("Bedlam", ""),
    ],
)
def test_a_name_tells_its_room(name: str, room: str):
    assert room_from_name(name) == room


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("Control4-BatteryPercent", "battery"),
        ("BatteryVoltage", "battery"),
        ("LightSensor", "light_level"),
        ("Control4-MotionArea", "motion"),
        ("Magnetic", "door"),
        ("Control4-ZigbeeSignal", "radio"),
        ("Control4-HVAC", "hvac"),
    ],
)
def test_a_type_belongs_to_its_family(kind: str, family: str):
    assert type_family(kind) == family
