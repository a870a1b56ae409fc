"""Clusters of windows as one offline HTML page: a map, a plan, days, and a sheet a cluster.

With scripts off, tables, sheets and pictures are there all the same.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from casas_ray.names import plain

_TEMPLATE, _STYLE, _SCRIPT = "map.html.j2", "map.css", "map.js"


@dataclass(frozen=True)
class Bar:
    """A part of a cluster by name, its share, and how many times the home's own that is."""

    name: str
    share: float
    times: float


@dataclass(frozen=True)
class Window:
    """A window as a sheet tells it."""

    start: str
    split: str
    length: str
    caption: str
    label: str
    sensors: str
    """Which sensors spoke, one after another."""


@dataclass(frozen=True)
class Sheet:
    """Everything that is told of one cluster."""

    cluster: int
    name: str
    is_named: bool
    """By a person; else the name is proposed."""

    colour: str
    train: int
    judged: int
    share: float
    length: str
    """The median length of its windows, in words."""

    plan: Markup
    hours: Markup
    weekdays: Markup
    rooms: Sequence[Bar]
    sensors: Sequence[Bar]
    labels: Sequence[Bar]
    labelled: int
    typical: Sequence[Window]
    nearest: Sequence[tuple[int, str, str]]
    """Number, name and distance."""


@dataclass(frozen=True)
class Picture:
    """A picture of days by the time of day."""

    title: str
    address: str
    """As `data:`."""

    legend: Sequence[tuple[str, str]]
    """Colours and what they stand for."""


@dataclass(frozen=True)
class Days:
    """Rows of the pictures of days."""

    pictures: Sequence[Picture]
    rows: int
    row_high: float
    """In pixels."""

    marks: Sequence[tuple[float, str]]
    """Dates beside some rows, by their height in pixels."""


@dataclass(frozen=True)
class MapContent:
    """What the page shows."""

    title: str
    marks: Sequence[str]
    """Caveats: SIMULATED, quick."""

    answer: str
    remarks: Sequence[str]
    scores: Sequence[tuple[str, str, str]]
    """Name, value, and what it tells."""

    sheets: Sequence[Sheet]
    left_out: int
    """Small clusters that have no sheet, and stand in the table alone."""

    has_labels: bool
    plan: Markup
    plan_said: str
    still: str
    """The map as a picture, for readers without scripts."""

    layouts: Sequence[tuple[str, str]]
    """Names, and how each was made."""

    days: Days
    crossed: tuple[Sequence[str], Sequence[tuple[int, str, Sequence[int]]]]
    """Labels, and for each cluster its number, name and windows of each label."""

    data: Mapping[str, Any]  # Any: what JSON holds
    """Of every window, for the script."""

    provenance: Sequence[tuple[str, str]]
    command: str


def map_page(content: MapContent) -> str:
    """The page as HTML."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = plain
    # Ours, and no part of them is anybody's text.
    style, script = (Markup(_beside(name)) for name in (_STYLE, _SCRIPT))
    template = environment.from_string(_beside(_TEMPLATE))
    return template.render(page=content, style=style, script=script, data=packed(content.data))


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def packed(value: Mapping[str, Any]) -> str:  # Any: what JSON holds
    """JSON, deflated, in letters that no page obeys."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(errors="replace"), 6)).decode()
