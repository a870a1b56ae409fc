"""The facts of a home: its sensors, their rooms and where they hang."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from casas_ray.config.base import Settings
from casas_ray.corpus.sensor_names import UNKNOWN_ROOM, type_from_name
from casas_ray.errors import CasasError, DataError, RefusedError, SettingsError, did_you_mean
from casas_ray.files import read_toml, shown
from casas_ray.paths import drawer_file, drawer_files, is_safe_name, raw, safe_path


class Sensor(Settings):
    """One sensor as the floor plan shows it."""

    type: str
    """motion, door, temperature, item, ..."""

    room: str = UNKNOWN_ROOM
    xy: tuple[float, float] | None = None
    """Position on the floor plan, in the home's own unit."""

    near: str = ""
    """What stands by it, in words."""

    floor: str = ""


class Home(Settings):
    """A home's facts, from `data/homes/NAME.toml` or read off a log that has none."""

    home: str
    residents: str = ""
    archive: str = ""
    """Where its owners publish the log."""

    log_in_archive: str = ""
    archive_sha256: str = ""
    """What the archive must hash to, where its owners or a trusted lab published it."""

    log_lines: int = 0
    """Lines of the published log; 0 where nobody counted them."""

    xy_unit: str = ""
    """The unit of positions, in words."""

    sensors: dict[str, Sensor] = Field(default_factory=dict)
    activity_groups: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Published groupings of activity names; never seen by captions or training."""

    derived: bool = False
    """True when there was no TOML and the facts were read off the log."""


def known_homes() -> dict[str, Path]:
    """Name to TOML of every home with facts."""
    return drawer_files("data/homes", ".toml")


def logged_homes() -> list[str]:
    """Homes with a folder of raw logs; simulated logs are not homes."""
    names = (path.name for path in raw().glob("*") if path.is_dir())
    # Drafts of folders, and whatever else somebody put there, are no homes either.
    return [name for name in names if "-simulated-" not in name and is_safe_name(name)]


def load_home(name: str) -> Home | None:
    """The home's facts, or None when nobody wrote any.

    Raises:
        DataError: the TOML does not parse or holds something else.
        RefusedError: a name or a path in it would lead out of the home's folder.
    """
    path = drawer_file("data/homes", ".toml", name)
    if path is None:
        return None
    try:
        home = Home.build(read_toml(path))
    except SettingsError as error:
        raise DataError(f"{shown(path)}: {error}", hint="see data/homes/milan.toml") from None
    try:
        _refuse_ways_out(home, name)
    except CasasError as error:
        raise type(error)(f"{shown(path)}: {error.problem}", hint=error.hint) from None
    return home


def _refuse_ways_out(home: Home, name: str) -> None:
    # What they name is written to, and fetched.
    if home.home != name:
        kind = DataError if is_safe_name(home.home) else RefusedError
        raise kind(f"home = '{home.home}'.", hint=f"a home is named as its file: {name}")
    if home.log_in_archive:
        safe_path(home.log_in_archive, what="log_in_archive")
    if home.archive and not home.archive.startswith(("https://", "http://")):
        raise RefusedError(
            f"archive '{home.archive}' is no address on the web.", hint="wanted https://..."
        )


def home_or_error(name: str) -> Home:
    """The facts of a home that must have some.

    Raises:
        DataError: no TOML of that name.
    """
    home = load_home(name)
    if home is None:
        raise DataError(f"no home '{name}' is known.", hint=did_you_mean(name, known_homes()))
    return home


def derived_home(name: str, *, rooms: Mapping[str, str], types: Mapping[str, str]) -> Home:
    """A home read off its log, from `rooms` and `types` by sensor.

    Where `types` is silent, the sensor's name tells.
    """
    sensors = {
        sensor: Sensor(type=types.get(sensor) or type_from_name(sensor), room=room or UNKNOWN_ROOM)
        for sensor, room in rooms.items()
    }
    return Home(home=name, sensors=sensors, derived=True)


def words(name: str) -> str:
    """A room's or sensor's name as a reader would say it: `living room` for `LivingRoom`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("_", " "))
    return spaced.lower()
