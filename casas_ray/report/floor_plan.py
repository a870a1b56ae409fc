"""A home's floor plan with the heat of a cluster on it; areas as boxes where nobody drew a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from casas_ray.names import plain

_WIDE = 100.0
_MARGIN = 6.0
_BOX_WIDE, _BOX_HIGH = 32.0, 18.0
_BOXES = 3
"""In a row."""

_SHORT = 17
"""Letters of a room's name that a box of a plan holds."""


@dataclass(frozen=True)
class Spot:
    """A sensor, and where it hangs."""

    sensor: str
    room: str
    xy: tuple[float, float] | None
    """Right and down, the plan's longer side 1; None where nobody knows."""


@dataclass(frozen=True)
class FloorPlan:
    """The sensors of a home as they hang, or its areas where their places are not known."""

    spots: Sequence[Spot]

    @property
    def is_drawn(self) -> bool:
        """Whether places of most sensors are known."""
        return 2 * sum(spot.xy is not None for spot in self.spots) > len(self.spots)

    def drawn(self, shares: Mapping[str, float], title: str) -> Markup:
        """The plan where each sensor is as strong as its share of a cluster's events."""
        if self.is_drawn:
            return self._on_plan(shares, title)
        return self._in_boxes(shares, title)

    def _on_plan(self, shares: Mapping[str, float], title: str) -> Markup:
        placed = [(spot, spot.xy) for spot in self.spots if spot.xy is not None]
        scale = _WIDE - 2 * _MARGIN
        at = [(spot, _MARGIN + x * scale, _MARGIN + y * scale) for spot, (x, y) in placed]
        high = max(y for _, _, y in at) + _MARGIN
        wide = max(x for _, x, _ in at) + _MARGIN
        rooms = [_room(room, at) for room in dict.fromkeys(spot.room for spot, _ in placed)]
        heat = [_sensor(spot, x, y, shares.get(spot.sensor, 0.0)) for spot, x, y in at]
        return _svg(wide, high, [*rooms, *heat], title)

    def _in_boxes(self, shares: Mapping[str, float], title: str) -> Markup:
        by_room: dict[str, float] = {}
        for spot in self.spots:
            by_room[spot.room] = by_room.get(spot.room, 0.0) + shares.get(spot.sensor, 0.0)
        parts = [
            _area(
                room, share, (index % _BOXES) * (_BOX_WIDE + 2), index // _BOXES * (_BOX_HIGH + 2)
            )
            for index, (room, share) in enumerate(by_room.items())
        ]
        rows = -(-len(by_room) // _BOXES)
        return _svg(_BOXES * (_BOX_WIDE + 2) - 2, rows * (_BOX_HIGH + 2) - 2, parts, title)


def _room(room: str, at: Sequence[tuple[Spot, float, float]]) -> Markup:
    """The box around a room's sensors, with its name."""
    xs = [x for spot, x, _ in at if spot.room == room]
    ys = [y for spot, _, y in at if spot.room == room]
    left, top = min(xs) - 4.0, min(ys) - 4.0
    wide, high = max(xs) + 4.0 - left, max(ys) + 4.0 - top
    return Markup(
        '<g><rect class="room" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"/>'
        '<text x="{:.1f}" y="{:.1f}">{}</text></g>'
    ).format(left, top, wide, high, left + 0.8, top + 3.2, _short(room))


def _sensor(spot: Spot, x: float, y: float, share: float) -> Markup:
    heat = Markup("")
    if share > 0.0:
        # The area is the share.
        heat = Markup('<circle class="heat" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
            x, y, 1.0 + 13.0 * share**0.5
        )
    return heat + Markup(
        '<circle class="sensor" cx="{:.1f}" cy="{:.1f}" r="0.9"><title>{}</title></circle>'
    ).format(x, y, plain(f"{spot.sensor}, {spot.room}: {share:.0%} of events"))


def _area(room: str, share: float, x: float, y: float) -> Markup:
    return Markup(
        '<g><title>{}</title><rect class="heat" x="{:.1f}" y="{:.1f}" width="{}" height="{}" '
        'rx="2" fill-opacity="{:.2f}"/><rect class="room" x="{:.1f}" y="{:.1f}" width="{}" '
        'height="{}" rx="2"/><text class="area" x="{:.1f}" y="{:.1f}">{}</text>'
        '<text class="area" x="{:.1f}" y="{:.1f}">{:.0%}</text></g>'
    ).format(
        *(plain(room), x, y, _BOX_WIDE, _BOX_HIGH, 0.85 * share**0.5, x, y, _BOX_WIDE, _BOX_HIGH),
        *(x + 1.5, y + 6.0, _short(room), x + 1.5, y + 13.5, share),
    )


def _short(room: str) -> str:
    shown = plain(room)
    return shown if len(shown) <= _SHORT else f"{shown[: _SHORT - 1]}…"


def _svg(wide: float, high: float, parts: Sequence[Markup], title: str) -> Markup:
    return Markup(
        '<svg class="plan" viewBox="0 0 {:.1f} {:.1f}" role="img" aria-label="{}">{}</svg>'
    ).format(wide, high, plain(title), Markup("").join(parts))
