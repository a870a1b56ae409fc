"""A drawing of curves as a picture and as one page that needs no network, by matplotlib."""

import html
import io
import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from casas_ray.names import plain
from casas_ray.report.curves import STEP_AXIS, Curve, Drawing, Panel

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Dash = Literal["-", "--", "-.", ":"]
Style = tuple[str, Dash]
"""A colour and a dash."""

# Okabe and Ito's, which people who see fewer colours tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[Dash, ...] = ("-", "--", "-.", ":")
_STYLE = {
    # Names of arms come from files: a `$` in one is no formula, and TeX would run what it says.
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "casas-ray",
    "font.size": 9.0,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
_PIXELS_PER_INCH = 150
HOW = (
    "A thick line is the mean over seeds, at the steps that all of them have; thin lines are the "
    "seeds; a dot is the step that validation chose."
)


def pictures(drawing: Drawing) -> tuple[bytes, str]:
    """The drawing as a PNG, and as an HTML page that loads nothing.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    with _style():
        figure = _figure(drawing)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=_PIXELS_PER_INCH)
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return png.getvalue(), _page(drawing, svg.getvalue())


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib.style  # a second to import, and an extra

    # Not the user's own style: it may want TeX, or a window.
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # Letters that its font has not are boxes in the PNG; the page has the reader's own fonts.
        warnings.filterwarnings("ignore", message="Glyph")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        yield


def _figure(drawing: Drawing) -> "Figure":
    from matplotlib.figure import Figure

    across = min(2, len(drawing.panels))
    down = -(-len(drawing.panels) // across)
    legend_rows = -(-len(drawing.arms) // across)
    size = (5.5 * across, 3.4 * down + 0.8 + 0.2 * legend_rows)
    figure = Figure(figsize=size, layout="constrained")
    styles = _styles(list(drawing.arms))
    every = figure.subplots(down, across, squeeze=False, sharex=True).flatten()
    for axes, panel in zip(every, drawing.panels, strict=False):
        _draw(axes, panel, styles, drawing.caveats)
    for axes in every[len(drawing.panels) :]:
        axes.remove()
    marks = ", ".join(drawing.caveats)
    figure.suptitle(
        plain(drawing.title) + (f"\n{plain(marks)}" if marks else ""),
        color="#B00000" if marks else "black",
        fontweight="bold",
    )
    handles = [_handle(styles[arm]) for arm in drawing.arms]
    labels = [f"{plain(arm)} ({ended})" for arm, ended in drawing.arms.items()]
    figure.legend(handles, labels, loc="outside lower center", ncols=across)
    return figure


def _styles(arms: Sequence[str]) -> dict[str, Style]:
    kinds = itertools.cycle(itertools.product(_DASHES, _COLOURS))
    return {arm: (colour, dash) for arm, (dash, colour) in zip(arms, kinds, strict=False)}


def _handle(style: Style) -> "Artist":
    from matplotlib.lines import Line2D

    return Line2D([], [], color=style[0], linestyle=style[1], linewidth=2.2)


def _draw(axes: "Axes", panel: Panel, styles: Mapping[str, Style], caveats: Sequence[str]) -> None:
    for arm, curve in panel.arms.items():
        _draw_arm(axes, curve, *styles[arm])
    if panel.chance is not None:
        axes.axhline(panel.chance, color="gray", linewidth=1.0, linestyle=(0, (1, 2)))
        # At the right edge, above the line.
        place = {"xy": (1.0, panel.chance), "xycoords": ("axes fraction", "data")}
        axes.annotate("chance", **place, ha="right", va="bottom", color="gray", fontsize=8)
    if caveats:  # in every panel: a picture is cut and passed on
        axes.text(
            0.5,
            0.5,
            plain(caveats[0]),
            transform=axes.transAxes,
            ha="center",
            va="center",
            rotation=20,
            fontsize=26,
            color="#B00000",
            alpha=0.12,
        )
    axes.set_xlabel(STEP_AXIS)
    axes.tick_params(labelbottom=True)
    axes.set_ylabel(panel.axis)


def _draw_arm(axes: "Axes", curve: Curve, colour: str, dash: Dash) -> None:
    if len(curve.seeds) > 1:
        for points in curve.seeds.values():
            axes.plot(*_columns(points), color=colour, linewidth=0.7, alpha=0.55)
    mean = curve.mean
    alone = "o" if len(mean) == 1 else None  # a line of one point is not seen
    axes.plot(*_columns(mean), color=colour, linestyle=dash, linewidth=2.2, marker=alone)
    best = list(curve.best.values())
    axes.plot(*_columns(best), color=colour, linestyle="none", marker="o", markersize=4)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _page(drawing: Drawing, svg: str) -> str:
    title, marks = html.escape(plain(drawing.title)), html.escape(", ".join(drawing.caveats))
    banner = f'<p class="caveat">{marks}</p>' if marks else ""
    arms = "".join(
        f"<li>{html.escape(plain(arm))}: {html.escape(ended)}</li>"
        for arm, ended in drawing.arms.items()
    )
    return _HTML.format(
        title=title, banner=banner, svg=svg[svg.index("<svg") :], how=HOW, arms=arms
    )


_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; }}
.caveat {{ background: #b00000; color: white; font-weight: bold; padding: 0.5rem 1rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{banner}
{svg}
<p>{how}</p>
<ul>{arms}</ul>
</body>
</html>
"""
