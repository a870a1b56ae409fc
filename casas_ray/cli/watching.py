"""The command `watch`: a study or a run as it goes on, from its ledgers."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, waiting
from casas_ray.cli.disk_tables import age_of
from casas_ray.cli.screen import literal
from casas_ray.cli.typed_path import a_path
from casas_ray.errors import DataError
from casas_ray.files import shown
from casas_ray.records.on_disk import OnDisk, RunOnDisk, is_at_work, on_disk
from casas_ray.records.own_folder import hint_for_run

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

_LEVELS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 40
_BUSY_SHARE = 4
"""At most one part in so many is spent on reading ledgers, however many there are."""


@command("runs", "plot", "table", "tune")
def watch(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|STUDY",
            help="The folder of a run, or of a study.",
            parser=a_path,
            autocompletion=completion.runs,
        ),
    ],
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Follow a study or a run that trains, over ssh too.

    It ends when nobody is at work there any more, or with Ctrl-C. In a log, or with --json, it
    writes a line a change.

    Example: casas-ray watch data/runs/milan_ablation_mlm-milan-1a2b3c4d
    """
    with waiting("reading the ledgers"):
        held = _looked(folder)
    if as_json or not out.is_terminal:
        _lines(folder, held, every, as_json=as_json)
    else:
        _live(folder, held, every)


def _looked(folder: Path) -> OnDisk:
    held = on_disk(folder)
    if len(held) != 1 or held[0].folder != folder:
        raise DataError(f"{shown(folder)} holds no run and no study.", hint=hint_for_run(folder))
    return held[0]


def _live(folder: Path, held: OnDisk, every: float) -> None:
    from rich.live import Live

    with Live(_picture(folder, held), console=out, auto_refresh=False) as live:
        while is_at_work(folder):
            held = _next(folder, every)
            live.update(_picture(folder, held), refresh=True)
        live.update(_picture(folder, _looked(folder)), refresh=True)


def _lines(folder: Path, held: OnDisk, every: float, *, as_json: bool) -> None:
    told: dict[Path, RunOnDisk] = {}
    while True:
        goes_on = is_at_work(folder)
        for run in held.runs:
            before = told.get(run.folder)
            if before is None or _news(before) != _news(run):
                told[run.folder] = run
                _tell(held, run, as_json=as_json)
        if not goes_on:
            return
        held = _next(folder, every)


def _next(folder: Path, every: float) -> OnDisk:
    began = time.monotonic()
    held = _looked(folder)
    time.sleep(max(every, (_BUSY_SHARE - 1) * (time.monotonic() - began)))
    return held


def _news(run: RunOnDisk) -> tuple[str, float | None]:
    """What of a run is worth a line: how it is, and its best so far."""
    return run.state, run.best


def _tell(held: OnDisk, run: RunOnDisk, *, as_json: bool) -> None:
    if as_json:
        told = {"study": held.study, "caveats": list(held.caveats), **run.as_dict()}
        print(json.dumps(told), flush=True)  # a line each; what a terminal would obey is escaped
        return
    best = "" if run.best is None else f", best {run.metric} {run.best:.3f}"
    step = f", step {run.step} of {run.steps}" if run.steps else ""
    out.print(f"{run.folder.name}: {run.state}{step}{best}")


def _picture(folder: Path, held: OnDisk) -> "Group":
    from rich.console import Group

    from casas_ray.cli import disk_tables

    counts: dict[str, int] = {}
    for run in held.runs:
        counts[run.state] = counts.get(run.state, 0) + 1
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    ages = [run.age_seconds for run in held.runs if run.age_seconds is not None]
    last = f"; last row {age_of(min(ages))} ago" if ages else ""
    return Group(*disk_tables.runs([held]), literal(f"{states}{last}"), *_curves(folder))


def _curves(folder: Path) -> "Sequence[Text]":
    """A line an arm: its mean over seeds at each validation."""
    from casas_ray.report.side_by_side import read_side

    side = read_side(folder)
    curves = {arm: list(side.mean_by_step(arm).values()) for arm in side.arms}
    every = [value for curve in curves.values() for value in curve]
    if not every:
        return []
    low, high = min(every), max(every)
    width = max(map(len, curves))
    return [
        literal(f"{arm:<{width}} {_curve(curve, low, high)} {curve[-1]:.3f}")
        for arm, curve in curves.items()
        if curve
    ]


def _curve(values: Sequence[float], low: float, high: float) -> str:
    span, top = high - low or 1.0, len(_LEVELS) - 1
    return "".join(_LEVELS[round((value - low) / span * top)] for value in values[-_CURVE_WIDTH:])
