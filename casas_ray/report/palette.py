"""Colours that can be told apart, on light pages and on dark ones."""

import colorsys

# Told apart by eye; the first eight also by who sees no red or no green.
_CHOSEN = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#56a8e0", "#7a4fbf", "#c23b3b"),
    *("#5b8c2a", "#b0662e", "#d94f8a", "#3a9ea5", "#8a6fd1", "#e0902a", "#4a7fd6", "#a84fb0"),
    *("#6f9a6a", "#c97b63", "#2f8f5b", "#9c8f2a", "#b85c7a", "#6b7fa3", "#8c564b", "#d1a300"),
)
_GOLDEN = 0.618033988749895
NOTHING = "#8a949e"
"""Of what belongs to no group: noise, and windows that nobody labelled."""


def distinct(count: int) -> list[str]:
    """So many colours as `#rrggbb`; beyond two dozen some look much alike."""
    made = [
        _hls(index * _GOLDEN, 0.46 + 0.08 * (index % 3)) for index in range(len(_CHOSEN), count)
    ]
    return [*_CHOSEN[:count], *made]


def hours() -> list[str]:
    """A colour an hour, which go round as the clock does: dark at night, light at noon."""
    return [_hls(0.66 + hour / 24, 0.38 + 0.22 * (1 - abs(hour - 12) / 12)) for hour in range(24)]


def _hls(hue: float, lightness: float) -> str:
    parts = colorsys.hls_to_rgb(hue % 1.0, lightness, 0.6)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def rgb(colour: str) -> tuple[int, int, int]:
    """The three bytes of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
