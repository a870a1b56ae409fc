"""The command `label`: which windows to label first, and a person's labels back."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli.app import command
from casas_ray.cli.console import out, pass_on, say, waiting
from casas_ray.cli.typed_path import path_option
from casas_ray.cli.using import ARun
from casas_ray.errors import SettingsError
from casas_ray.files import shown, write_whole
from casas_ray.names import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casas_ray.evals.labelling import ToLabel


@command("probe", "cluster", "map")
def label(
    run: ARun,
    days: Annotated[int, typer.Option(min=1, help="Windows of so many training days.")] = 3,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="So many windows in all.")] = 60,
    target: Annotated[
        Path | None, path_option("-o", "--output", help="A file in place of the standard output.")
    ] = None,
    taken: Annotated[
        Path | None, path_option("--take", help="The file with a person's labels filled in.")
    ] = None,
) -> None:
    """Choose the windows to label first, or take labels back.

    Writes CSV: windows in the middle of clusters and doubtful ones, with time, rooms, caption and
    an empty column `label`. `--take FILE` keeps what was filled in beside the run; `casas-ray probe
    RUN --few-labels` says what can be told by it.

    Example: casas-ray label data/runs/RUN --days 3 -o to_label.csv
    """
    if taken is not None and target is not None:
        raise SettingsError("-o has no effect with --take.", hint="leave one out.")
    with waiting("opening the run"):
        from casas_ray.evals.given_labels import take
        from casas_ray.evals.labelling import first_to_label
        from casas_ray.evals.trained_run import TrainedRun

        opened = TrainedRun.open(run.here("best"))
    if taken is not None:
        labels = take(opened, taken)
        classes = len(set(labels.values()))
        out.print(
            f"{len(labels):,} windows of {opened.folder.name} have labels, of {classes} kinds"
        )
        out.print(f"next: casas-ray probe {shown(opened.folder)} --few-labels")
        return
    with waiting("grouping windows"):
        windows = first_to_label(opened, days=days, most=most)
    text = _table(windows)
    if target is None:
        pass_on(text.rstrip("\n"))
        return
    write_whole(target, text)
    say(f"{len(windows)} windows to label lie in {shown(target)}")


def _table(windows: "Sequence[ToLabel]") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in dataclasses.fields(windows[0])]
    writer.writerow([*names, "label"])
    for window in windows:
        values = dataclasses.astuple(window)
        writer.writerow([*(cell(v) if isinstance(v, str) else v for v in values), ""])
    return text.getvalue()
