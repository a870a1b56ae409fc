"""Commands that use what was learned: export, apply."""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, say, waiting
from casas_ray.cli.judged import home_named, set_of
from casas_ray.cli.typed_path import Place, a_path, a_place, path_option
from casas_ray.errors import SettingsError
from casas_ray.files import shown, whole_file
from casas_ray.names import cell, json_line

if TYPE_CHECKING:
    from casas_ray.corpus.live_log import Counts
    from casas_ray.evals.telling import ToldWindow

Form = Literal["csv", "jsonl"]

ARun = Annotated[
    Place,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, or its address in a storage.",
        parser=a_place,
        autocompletion=completion.runs,
    ),
]


@command("apply", "query", "cluster", "evaluate")
def export(
    run: ARun,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write.", parser=a_path)
    ],
    clusters: Annotated[
        str,
        typer.Option(
            help="The folder, or its name, of the run's clusters that go with it; `none` leaves "
            "them out. By default the only ones there are."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a run as a folder that needs nothing else.

    Its best checkpoint's weights as safetensors, the recipe, the vocabulary, the home's sensors, a
    model card, and the clusters that were found with it. `casas_ray.load(DIR)` opens it;
    `casas-ray apply DIR` tells clusters of tomorrow's log.

    Example: casas-ray export data/runs/RUN my_model
    """
    with waiting("opening the run"):
        from casas_ray.evals.export import export as write_export
        from casas_ray.evals.trained_run import TrainedRun

        opened = TrainedRun.open(run.here("best"))
        grouping = _grouping_of(opened.folder, clusters)
    with waiting(f"writing {shown(folder)}"):
        written = write_export(opened, folder, clusters=grouping)
    if as_json:
        named = grouping.name if grouping else None
        print_json({"folder": str(written), "clusters": named, "caveats": list(opened.caveats)})
        return
    caveats = f" ({', '.join(opened.caveats)})" if opened.caveats else ""
    out.print(f"{shown(written)} holds step {opened.step} of {opened.folder.name}{caveats}")
    if grouping is None:
        out.print("without clusters: `casas-ray cluster RUN` finds them; then export it again")


def _grouping_of(run: Path, named: str) -> Path | None:
    from casas_ray.evals.opened import clusters_in

    if named == "none" or (not named and not (run / "clusters").is_dir()):
        return None
    if not named:
        return clusters_in(run)
    beside = run / "clusters" / named
    chosen = clusters_in(beside if beside.is_dir() else Path(named))
    if not chosen.resolve().is_relative_to(run.resolve()):
        raise SettingsError(
            f"--clusters {named}: {shown(chosen)} is of another run.",
            hint=f"those of this run lie in {shown(run / 'clusters')}",
        )
    return chosen


@command("cluster", "export", "query")
def apply(
    named: Annotated[
        Place,
        typer.Argument(
            metavar="RUN|CLUSTERS|HOME",
            help="The folder of clusters, or of a run or an export that has some; or a home that "
            "was grouped, by name.",
            parser=a_place,
            autocompletion=completion.runs_and_homes,
        ),
    ],
    log: Annotated[
        Path, path_option("--log", help="A log of the same home; - for standard input, or a pipe.")
    ],
    home: Annotated[str, typer.Option(help="Whose log it is, where several are known.")] = "",
    form: Annotated[Form, typer.Option("--form", help="How windows are told.")] = "csv",
    target: Annotated[
        Path | None, path_option("-o", "--output", help="A file in place of the standard output.")
    ] = None,
    most_unknown: Annotated[
        float,
        typer.Option(
            "--most-unknown",
            min=0.0,
            max=1.0,
            help="Refuse a log of which a larger share of events is of unknown sensors.",
        ),
    ] = 0.2,
) -> None:
    """Tell the cluster of every window of a log as it comes.

    The log is read line by line, in order of time. Each window is told as soon as it is whole, in
    constant memory: start, end, line of its first event, number of events, cluster, and what a
    person calls it, or else the label in its middle.

    Example: casas-ray apply al_smarthome --log tomorrow.txt -o told.csv
    """
    with waiting("opening the clusters"):
        from casas_ray.corpus.live_log import Counts
        from casas_ray.evals.opened import clusters_in, teller

        name = home_named([named])
        place = paths.clusters() / set_of(name).folder.name if name else named.here("best")
        found = teller(clusters_in(place), home=home)
    log, counts = Path("/dev/stdin") if log == Path("-") else log, Counts()
    windows = found.windows_of(log, most_unknown=most_unknown, counts=counts)
    told = 0
    with _written_to(target) as stream:
        for told, window in enumerate(windows, start=1):
            if form == "csv" and told == 1:
                stream.write(_line_of(vars(window).keys()))
            stream.write(_told(window, form))
            if target is None:  # somebody may be waiting for it
                stream.flush()
    for line in _summary(told, counts):
        say(line)


@contextmanager
def _written_to(target: Path | None) -> Iterator[TextIO]:
    if target is not None:
        with whole_file(target) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    try:
        yield sys.stdout
    except BrokenPipeError:  # who reads has read enough, as `head` does
        # Or Python would fail once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(window: "ToldWindow", form: Form) -> str:
    if form == "jsonl":
        return json_line(vars(window))
    return _line_of(vars(window).values())


def _line_of(values: Iterable[object]) -> str:
    text = io.StringIO()
    cells = [cell(value) if isinstance(value, str) else value for value in values]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _summary(told: int, counts: "Counts") -> Iterator[str]:
    yield f"{counts.lines:,} lines, {counts.events:,} events, {told:,} windows"
    for reason, lines in counts.left_out.most_common(5):
        yield f"{lines:,} lines were left out: {reason}"
    if counts.strangers:
        every = counts.events + counts.strangers.total()
        share = counts.strangers.total() / every
        named = ", ".join(f"{name} ({count:,})" for name, count in counts.strangers.most_common(5))
        yield f"{share:.1%} of events are of sensors that the home does not know: {named}"
