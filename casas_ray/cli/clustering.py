"""The command `cluster`: windows grouped without labels."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import judging, out, print_json, waiting
from casas_ray.cli.judged import Split, days_of, home_named, set_of
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.evals.trained_run import TrainedRun

RunOrHome = Annotated[
    Place,
    typer.Argument(
        metavar="RUN|HOME",
        help="A run's folder, or its address in a storage; or a home, or a prepared set, by name.",
        parser=a_place,
        autocompletion=completion.runs_and_homes,
    ),
]
WhichFeatures = Annotated[
    Literal["hand", "counts", "rich", "past", "both", "encoder", "joined"] | None,
    typer.Option("--features", help="What is grouped: of a home `hand`, of a run `encoder`."),
]
WhichMethod = Annotated[
    Literal["kmeans", "agglomerative", "hdbscan", "gmm"],
    typer.Option("--method", help="How; HDBSCAN finds how many clusters there are."),
]
HowMany = Annotated[
    str, typer.Option("--k", help="How many: 20 by default; `auto` takes the best silhouette.")
]
ScoredOn = Annotated[
    Split, typer.Option("--split", help="Score on `val`; `test` is a look at the test days.")
]


@command("map", "name", "evaluate", "probe", "prepare")
def cluster(
    named: RunOrHome,
    features: WhichFeatures = None,
    method: WhichMethod = "kmeans",
    k: HowMany = "",
    split: ScoredOn = "val",
    as_json: AsJson = False,
) -> None:
    """Group windows by what happens in them, without labels.

    Fitted on training days; later days take the clusters that there are. Where somebody labelled
    the home, the clusters are scored against labels besides. The cluster of every window and event
    is kept as Parquet.

    Example: casas-ray cluster al_smarthome --k 12
    """
    from casas_ray.cli import judged_tables, tables

    count = count_of(k, method)
    name, run, prepared = opened(named)
    from casas_ray.evals.assignments import assign
    from casas_ray.evals.grouping import Grouping

    grouping = Grouping(features or ("encoder" if run else "hand"), method, count, split)
    with judging([name]) as tell:
        found = assign(prepared, run, grouping, functools.partial(tell, 0))
    if as_json:
        names = {"names": {str(each): said for each, said in found.names.by_cluster.items()}}
        print_json(
            {"folder": str(found.folder), "looks": list(found.looks), **names, **found.about}
        )
        return
    title = tables.heading(f"{name}, {method}, {days_of(split)}", found.about["caveats"])
    out.print(judged_tables.clusters(found, title), judged_tables.each_cluster(found), sep="\n")
    out.print(f"The cluster of every window lies in {shown(found.folder)}")


def opened(named: Place) -> "tuple[str, TrainedRun | None, PreparedSet]":
    """What was typed: how it is called, its run where it is one, and its set.

    Raises:
        DataError: it is neither run nor home, or it is damaged.
    """
    home = home_named([named])
    folder = Path() if home else named.here("best")
    if not home and not folder.is_dir():
        raise DataError(
            f"{shown(folder)} is no run, no home and no prepared set.",
            hint="`casas-ray runs` and `casas-ray homes` list those at hand.",
        )
    with waiting("opening the set"):
        from casas_ray.evals.trained_run import TrainedRun

        run = None if home else TrainedRun.open(folder)
        prepared = set_of(home) if run is None else run.data.prepared
    return home or folder.name, run, prepared


def count_of(typed: str, method: str) -> int | None:
    """The number of clusters that was typed; None where it is to be found.

    Raises:
        SettingsError: it is none.
    """
    if typed in ("", "auto"):
        return 20 if typed == "" and method != "hdbscan" else None
    if not typed.isdecimal() or not 2 <= int(typed) <= 1000:
        raise SettingsError(
            f"--k '{typed}' is no number of clusters.", hint="write 2 to 1000, or auto."
        )
    return int(typed)
