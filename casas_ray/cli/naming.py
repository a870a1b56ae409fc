"""The command `name`: what a person calls clusters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, say, waiting
from casas_ray.cli.judged import home_named, set_of
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown

if TYPE_CHECKING:
    from casas_ray.evals.kept_clusters import KeptClusters


@command("cluster", "map")
def name(
    named: Annotated[
        Place,
        typer.Argument(
            metavar="RUN|HOME|CLUSTERS",
            help="The folder of a run, or a home, of which one clustering is kept; or that "
            "clustering's folder.",
            parser=a_place,
            autocompletion=completion.runs_and_homes,
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLUSTER=NAME",
            help="Names, e.g. 3=Cook; `3=` takes one away; none shows those there are.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Call clusters by names of your own.

    They are kept beside the clusters' folder, and show in its tables, in `cluster` and in `map`. A
    name belongs to the clusters there are: made anew from other windows, they have none.

    Example: casas-ray name al_smarthome 3=Cook 7="Get up"
    """
    kept = _kept(named)
    found = kept.name(words) if words else kept.assigned()
    if found.names.set_aside:
        ended = "are let go" if words else "are not shown"
        said = ", ".join(found.names.set_aside)
        say(f"{said}: these names were given to other clusters than these, and {ended}.")
    if as_json:
        names = {str(cluster): said for cluster, said in found.names.by_cluster.items()}
        print_json({"folder": str(found.folder), "names": names})
        return
    from casas_ray.cli import judged_tables

    out.print(judged_tables.each_cluster(found))
    if words:
        out.print(f"The names lie beside {shown(found.folder)}; `casas-ray map` shows them.")


def _kept(named: Place) -> "KeptClusters":
    if named.is_address:
        raise SettingsError(
            f"{named.text}: names are kept beside clusters on this disk.",
            hint="`casas-ray cluster` finds them here; then name the folder that it says.",
        )
    home, folder = home_named([named]), Path(named.text)
    if not home and not folder.is_dir():
        raise DataError(
            f"{shown(folder)} is no run, no home and no clusters' folder.",
            hint="`casas-ray cluster` says where it keeps them.",
        )
    with waiting("opening the clusters"):
        from casas_ray.evals.kept_clusters import kept_in

        if home:
            return kept_in(paths.clusters() / set_of(home).folder.name)
        below = folder / "clusters"
        return kept_in(below if below.is_dir() else folder)
