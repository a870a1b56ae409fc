"""The forms that tools and people leave logs in, as ways to write the story of `logs.py`."""

from collections.abc import Callable
from datetime import datetime, timedelta

from support.logs import STAMP, Told

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
