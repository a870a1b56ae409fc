"""The command `query`: windows that a text describes, and the reverse."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines
from casas_ray.cli.using import ARun
from casas_ray.errors import SettingsError

if TYPE_CHECKING:
    from casas_ray.evals.query import Answer

_SPLITS = {
    "known": ("train", "val"),
    "train": ("train",),
    "val": ("val",),
    "test": ("test",),
}


@command("export", "apply", "cluster", "runs")
def query(
    run: ARun,
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="What happens, in words.")] = "",
    like: Annotated[str, typer.Option(help="In place of a text: a window, by its id.")] = "",
    home: Annotated[str, typer.Option(help="Only windows of this home.")] = "",
    split: Annotated[
        Literal["known", "train", "val", "test"],
        typer.Option(
            "--split",
            help="Which days: `known` are training and validation days; `test` is a look at the "
            "test days.",
        ),
    ] = "known",
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many windows.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find the windows that a text describes.

    With --like, those that are like a window, and the captions nearest to it. No label is read to
    find them; labels stand beside what was found. How good this retrieval is, is said below.

    Example: casas-ray query data/runs/RUN "someone walks to the bathroom at night"
    """
    if bool(text.strip()) == bool(like):
        raise SettingsError(
            "query wants a text, or --like WINDOW, and not both.",
            hint='casas-ray query RUN "movement in the kitchen at night"',
        )
    with waiting("opening the run"):
        from casas_ray.evals.query import ask
        from casas_ray.evals.trained_run import TrainedRun

        opened = TrainedRun.open(run.here("best"))
    with waiting("encoding the windows"):
        found = ask(opened, text=text, like=like, home=home, splits=_SPLITS[split], top=top)
    if as_json:
        print_json(found.as_dict())
        return
    out.print(_windows(found))
    if found.like is not None:
        out.print(_captions(found))


def _windows(found: "Answer") -> Table:
    from casas_ray.cli import tables

    asked = f"like window {found.asked}" if found.like else f"'{found.asked}'"
    shown = Table(title=tables.heading(f"Windows, {asked}", found.caveats))
    shown.add_column("score", justify="right")
    for name in ("window", "starts"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("lasts", justify="right")
    for name in ("rooms", "caption", "label"):
        shown.add_column(name)
    told = [(f"{each.score:.3f}", each.window) for each in found.windows]
    for score, window in [*([("itself", found.like)] if found.like else []), *told]:
        lasts, rooms = f"{window.seconds / 60:.1f} min", ", ".join(window.rooms)
        cells = (window.id, window.start, lasts, rooms, window.caption, window.label or "-")
        shown.add_row(score, *cells)
    shown.caption = lines(_said(found))
    return shown


def _captions(found: "Answer") -> Table:
    shown = Table(title=f"Captions nearest to window {found.asked}")
    shown.add_column("score", justify="right")
    shown.add_column("caption")
    for each in found.captions:
        shown.add_row(f"{each.score:.3f}", each.caption)
    return shown


def _said(found: "Answer") -> list[str]:
    said = [
        f"Of {found.searched:,} windows; of those that share events only the nearest. The score is "
        "a cosine: it ranks, and is no probability."
    ]
    if found.quality:
        to_window, by_ten = (found.quality.get(f"text_recall@{k}", 0.0) for k in (1, 10))
        chance = found.quality.get("chance_recall@10", 0.0)
        said.append(
            f"On validation days a caption finds a window that it was made of first in "
            f"{to_window:.0%}, among the first ten in {by_ten:.0%} (chance {chance:.1%}) of "
            f"{found.gallery:,}; texts unlike its captions may do worse."
        )
    else:
        said.append("How good this retrieval is, nobody knows: the run has no ledger.")
    if "quick" in found.caveats:
        said.append("quick: a tiny model and few epochs, to try that everything works.")
    if found.looks:
        said.append(f"THE TEST DAYS HAVE BEEN LOOKED AT, with {len(found.looks)} queries.")
    return said
