"""What names tell: a sensor's room and type where the log has no column for them."""

import re
from collections.abc import Sequence

UNKNOWN_ROOM = "unknown"

_NO_ROOM = frozenset({"", "ignore", "none", "unknown", "null", "nan", "n/a", "na", "-", "?"})
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+|\d+")

# Rooms come before what stands in them: a KitchenASink is in the kitchen whatever else has a sink.
_ROOMS = {
    "living": "living_room",
    "lounge": "living_room",
    "kitchen": "kitchen",
    "dining": "dining_room",
    "bathroom": "bathroom",
    "bath": "bathroom",
    "shower": "bathroom",
    "toilet": "bathroom",
    "restroom": "bathroom",
    "bedroom": "bedroom",
    "office": "office",
    "study": "office",
    "bathtub": "bathroom",
    "hall": "hallway",
    "hallway": "hallway",
    "corridor": "hallway",
    "aisle": "hallway",
    "entry": "entrance",
    "entryway": "entrance",
    "entrance": "entrance",
    "foyer": "entrance",
    "frontdoor": "entrance",
    "garage": "garage",
    "laundry": "laundry",
    "stairs": "stairs",
    "basement": "basement",
    "attic": "attic",
    "porch": "porch",
    "patio": "patio",
    "balcony": "balcony",
}
_WHOLE_ROOMS = ("bedroom", "bathroom")
_HALF_ROOMS = {
    "work": "office",
    "family": "living_room",
    "outside": "entrance",
    "front": "entrance",
    "main": "entrance",
    "back": "back_door",
}
"""Rooms only where nothing else is named: there are front bedrooms."""

_THINGS = {
    "bed": "bedroom",
    "nightstand": "bedroom",
    "couch": "living_room",
    "sofa": "living_room",
    "tv": "living_room",
    "stove": "kitchen",
    "oven": "kitchen",
    "microwave": "kitchen",
    "fridge": "kitchen",
    "refrigerator": "kitchen",
    "freezer": "kitchen",
    "dishwasher": "kitchen",
    "toaster": "kitchen",
    "cups": "kitchen",
    "plates": "kitchen",
    "pans": "kitchen",
    "groceries": "kitchen",
    "washer": "laundry",
    "dryer": "laundry",
    "desk": "office",
    "closet": "closet",
}

_FAMILIES = (
    ("battery", "battery"),
    ("light_level", "light_level"),
    ("light_sensor", "light_level"),
    ("illuminance", "light_level"),
    ("brightness", "light_level"),
    ("lux", "light_level"),
    ("temperature", "temperature"),
    ("thermostat", "temperature"),
    ("humidity", "humidity"),
    ("radio", "radio"),
    ("signal", "radio"),
    ("rssi", "radio"),
    ("lqi", "radio"),
    ("motion", "motion"),
    ("pir", "motion"),
    ("door", "door"),
    ("contact", "door"),
    ("magnetic", "door"),
    ("reed", "door"),
    ("light", "light"),
    ("dimmer", "light"),
    ("lamp", "light"),
    ("pressure", "pressure"),
    ("flush", "water"),
    ("float", "water"),
    ("water", "water"),
    ("power", "power"),
    ("item", "item"),
    ("electric", "item"),
    ("button", "button"),
    ("switch", "switch"),
    ("relay", "relay"),
)
# A radio that has a name is one to listen to.
_BY_NAME = frozenset({"door", "light", "temperature", "battery", "light_level", "humidity"})
_BY_LETTERS = {
    "M": "motion",
    "MA": "motion",
    "D": "door",
    "T": "temperature",
    "I": "item",
    "L": "light",
    "LL": "light",
    "LS": "light_level",
    "BA": "battery",
    "BAT": "battery",
    "BATP": "battery",
    "BATV": "battery",
}
_ID = re.compile(r"([A-Z]{1,4})\d+")
_MAKERS = ("Control4-", "Insteon-", "Zigbee-", "Sensor-")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]*-([A-Za-z][A-Za-z_]+)")

NEVER_EVENTS = frozenset({"radio"})
"""Types whose lines are about the sensors themselves, never about the home."""

MEASURED = frozenset({"battery", "temperature", "light_level", "humidity", "radio", "power"})
"""Types of lines that a sensor of another type may send beside its own."""


def parts_of(name: str) -> list[str]:
    """The words a name is made of, in small letters: bedroom, a, bed of `BedroomABed`."""
    return [part.lower() for part in _PARTS.findall(name)]


def room_from_name(sensor: str) -> str:
    """The room that a sensor's name tells, such as kitchen of `KitchenASink`; else nothing."""
    parts = parts_of(sensor)
    # `masterbedroom` and `LIVINGROOM` are one part each.
    parts += [room for part in parts for room in _WHOLE_ROOMS if part.endswith(room)]
    parts += [part.removesuffix("room") for part in parts if part.endswith("room")]
    for table in (_ROOMS, _HALF_ROOMS, _THINGS):
        for part in parts:
            if part in table:
                return table[part]
    return ""


def is_no_room(area: str) -> bool:
    """Whether an area's name says that there is none, as `Ignore` does."""
    return area.strip().lower() in _NO_ROOM


def type_family(kind: str) -> str:
    """The type of a column such as `Control4-BatteryPercent` or `LightSensor`: battery,
    light_level; one that nobody knows as it stands, in small letters."""
    last = kind.rsplit("-", 1)[-1]
    return _family(last) or last.lower()


def _family(name: str) -> str:
    text = "_".join(part for part in parts_of(name) if part not in ("indoor", "outdoor"))
    return next((family for word, family in _FAMILIES if word in text), "")


def is_type(text: str, *, strict: bool = False) -> bool:
    """Whether a word is a sensor's type; strictly, only one with its maker: `Control4-Motion`."""
    with_maker = _TYPE.fullmatch(text)
    if with_maker:
        return bool(_family(with_maker[1])) or text.startswith(_MAKERS)
    return not strict and text.isalnum() and bool(_family(text)) and len(parts_of(text)) <= 2


def type_from_name(sensor: str) -> str:
    """A type read off an id such as `M012` or a name such as `OutsideDoor`; else motion."""
    if found := _ID.fullmatch(sensor):
        letters = found[1]
        return _BY_LETTERS.get(letters) or _by_name(sensor) or _rare(letters)
    return _by_name(sensor) or "motion"


def _rare(letters: str) -> str:
    return "unknown" if len(letters) <= 2 else "motion"


def _by_name(sensor: str) -> str:
    family = _family(sensor)
    return family if family in _BY_NAME else ""


def looks_like_ids(names: Sequence[str]) -> bool:
    """Whether most names are letters and a number, as sensors have them and rooms have not."""
    ids = sum(bool(re.fullmatch(r"[A-Za-z]{1,5}[-_]?\d+[A-Za-z]?", name)) for name in names)
    return ids >= 0.8 * len(names) > 0
