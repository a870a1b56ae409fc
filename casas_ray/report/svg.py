"""Drawings of a report, as SVG that needs no script and no network and keeps its text legible.

Lengths along x are percentages, so that a drawing fits a screen of any width and nothing in it is
stretched; only lines of curves are, in a box of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Points = Sequence[tuple[float, float]]

_ROW, _AXIS = 26, 22
_PLOT = 280
_BOX = 1000.0


@dataclass(frozen=True)
class Scale:
    """Numbers from low to high as percentages of a width."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], *, margin: float = 0.06) -> "Scale":
        """One that holds all of these with some room at both ends."""
        every = list(values) or [0.0, 1.0]
        low, high = min(every), max(every)
        room = (high - low) * margin or abs(high) * margin or 1.0
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        """Where a number lies, in percent."""
        return 100.0 * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """A few round numbers in it."""
        step = _round_step((self.high - self.low) / 5)
        first = int(self.low / step) - 1
        every = (index * step for index in range(first, first + 12))
        return [tick for tick in every if self.low <= tick <= self.high]


def _round_step(rough: float) -> float:
    power = 10.0 ** int(f"{rough:e}".partition("e")[2])
    return next((each * power for each in (1, 2, 5) if each * power >= rough), 10 * power)


def interval_row(
    scale: Scale,
    rope: float,
    seeds: Sequence[tuple[int, float]],
    mean: float | None,
    interval: tuple[float, float] | None,
) -> Markup:
    """A strip with the base's line, the band of what does not matter, the seeds' differences, and
    their mean with its interval."""
    middle = _ROW / 2
    low, high = max(0.0, scale.at(-rope)), min(100.0, scale.at(rope))
    parts = [
        Markup('<rect class="rope" x="{:.2f}%" y="0" width="{:.2f}%" height="{}"/>').format(
            low, high - low, _ROW
        ),
        _line("zero", scale.at(0.0), 0, scale.at(0.0), _ROW),
    ]
    if interval:
        parts.append(
            _line("interval", scale.at(interval[0]), middle, scale.at(interval[1]), middle)
        )
    parts += [
        Markup(
            '<circle class="seed" cx="{:.2f}%" cy="{}" r="2.5"><title>{}</title></circle>'
        ).format(scale.at(value), middle, f"seed {seed}: {value:+.4f}")
        for seed, value in seeds
    ]
    if mean is not None:
        parts.append(
            Markup('<circle class="mean" cx="{:.2f}%" cy="{}" r="5"/>').format(
                scale.at(mean), middle
            )
        )
    return _svg("strip", _ROW, parts)


def axis(scale: Scale) -> Markup:
    """The numbers under such strips."""
    parts = []
    for tick in scale.ticks():
        parts.append(_line("tick", scale.at(tick), 0, scale.at(tick), 4))
        parts.append(_text(scale.at(tick), 17, f"{tick:+.3g}" if tick else "base"))
    return _svg("strip axis", _AXIS, parts)


@dataclass(frozen=True)
class Curve:
    """A line over steps, and how it is drawn."""

    arm: str
    points: Points
    kind: str
    """`seed` is thin, `mean` thick."""

    colour: int


def curves(lines: Sequence[Curve], title: str) -> Markup:
    """Lines over steps in one box with its scales."""
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup("")
    steps = Scale.around((step for step, _ in points), margin=0.02)
    values = Scale.around(value for _, value in points)
    parts = []
    for tick in values.ticks():
        y = _PLOT * (1 - values.at(tick) / 100)
        parts.append(_line("grid", 0, y, 100, y))
        parts.append(_text(0.5, y - 3, f"{tick:.3g}", anchor="start"))
    for tick in steps.ticks():
        parts.append(_text(steps.at(tick), _PLOT + 17, f"{tick:g}"))
    drawn = [_polyline(line, steps, values) for line in lines]
    parts.append(
        Markup(
            '<svg x="0" y="0" width="100%" height="{}" viewBox="0 0 {} {}" '
            'preserveAspectRatio="none">{}</svg>'
        ).format(_PLOT, _BOX, _BOX, Markup("").join(drawn))
    )
    return _svg("plot", _PLOT + _AXIS, parts, title)


def _polyline(line: Curve, steps: Scale, values: Scale) -> Markup:
    points = " ".join(
        f"{_BOX / 100 * steps.at(step):.1f},{_BOX - _BOX / 100 * values.at(value):.1f}"
        for step, value in line.points
    )
    return Markup('<polyline class="{} c{}" data-arm="{}" points="{}"/>').format(
        line.kind, line.colour, line.arm, points
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.2f}%" y1="{:.1f}" x2="{:.2f}%" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    return Markup('<text x="{:.2f}%" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _svg(kind: str, height: int, parts: Sequence[Markup], title: str = "") -> Markup:
    label = (
        Markup(' role="img" aria-label="{}"').format(title)
        if title
        else Markup(' aria-hidden="true"')
    )
    return Markup('<svg class="{}" width="100%" height="{}"{}>{}</svg>').format(
        kind, height, label, Markup("").join(parts)
    )
