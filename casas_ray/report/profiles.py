"""When a cluster happens: its hours and days of the week, beside the home's own."""

from collections.abc import Sequence

from markupsafe import Markup

_HIGH = 44.0
_UNDER = 14


def hours(shares: Sequence[float], usual: Sequence[float]) -> Markup:
    """24 bars: windows by the hour they start in, the home's own as a line on each."""
    marks = {0: "0", 6: "6", 12: "12", 18: "18"}
    return _bars(shares, usual, marks, [f"{hour}:00" for hour in range(24)], "by hour")


def weekdays(shares: Sequence[float], usual: Sequence[float]) -> Markup:
    """Seven bars from Monday."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return _bars(shares, usual, dict(enumerate("MTWTFSS")), names, "by day of the week")


def _bars(
    shares: Sequence[float],
    usual: Sequence[float],
    marks: dict[int, str],
    names: Sequence[str],
    what: str,
) -> Markup:
    top = max(*shares, *usual, 1e-9)
    wide = 100.0 / len(shares)
    parts = []
    for index, (share, home) in enumerate(zip(shares, usual, strict=True)):
        high, line = _HIGH * share / top, _HIGH * (1 - home / top)
        parts.append(
            Markup(
                '<g><title>{}: {:.0%}, the home {:.0%}</title><rect class="bar" x="{:.2f}%" '
                'y="{:.1f}" width="{:.2f}%" height="{:.1f}"/><line class="usual" x1="{:.2f}%" '
                'x2="{:.2f}%" y1="{:.1f}" y2="{:.1f}"/></g>'
            ).format(
                *(names[index], share, home, index * wide + 0.1 * wide, _HIGH - high),
                *(0.8 * wide, high, index * wide, (index + 1) * wide, line, line),
            )
        )
    for index, text in marks.items():
        parts.append(
            Markup('<text x="{:.2f}%" y="{:.1f}" text-anchor="middle">{}</text>').format(
                (index + 0.5) * wide, _HIGH + 11, text
            )
        )
    return Markup(
        '<svg class="profile" width="100%" height="{:.0f}" role="img" aria-label="{}">{}</svg>'
    ).format(_HIGH + _UNDER, what, Markup("").join(parts))
