"""The command `map`: a clustering as one offline page."""

import functools
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from casas_ray.cli.app import AsJson, command
from casas_ray.cli.clustering import (
    HowMany,
    RunOrHome,
    ScoredOn,
    WhichFeatures,
    WhichMethod,
    count_of,
    opened,
)
from casas_ray.cli.console import judging, out, print_json
from casas_ray.cli.typed_path import path_option
from casas_ray.errors import SettingsError
from casas_ray.files import shown, write_whole

PAGE = "map.html"

Places = Annotated[
    Literal["pca", "tsne"] | None,
    typer.Option(
        "--layout", help="Places by t-SNE, where openTSNE is installed, or principal axes alone."
    ),
]


@command("cluster", "name", "probe", "prepare", name="map")
def draw_map(
    named: RunOrHome,
    features: WhichFeatures = None,
    method: WhichMethod = "kmeans",
    k: HowMany = "",
    split: ScoredOn = "val",
    layout: Places = None,
    to: Annotated[
        Path | None, path_option("--to", "-o", help="A folder for it; else beside the clusters.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the clusters of windows as one page that needs no network.

    A map of all windows, the floor plan, days by the time of day, and a sheet a cluster: what it
    may be called, where and when it happens, and typical windows. No label is needed.

    Example: casas-ray map al_smarthome --k 12
    """
    if to is not None and not to.is_dir():
        raise SettingsError(f"{shown(to)} is no folder.", hint="name one that is there.")
    count = count_of(k, method)
    name, run, prepared = opened(named)
    from casas_ray.evals.grouping import Grouping
    from casas_ray.evals.maps.drawn import draw

    grouping = Grouping(features or ("encoder" if run else "hand"), method, count, split)
    words = ["casas-ray", "map", name if run is None else shown(run.folder)]
    words += ["--features", grouping.features, "--method", method, "--split", split]
    words += ["--k", str(count or "auto")] if method != "hdbscan" else []
    with judging([name]) as tell:
        drawn = draw(prepared, run, grouping, layout, shlex.join(words), functools.partial(tell, 0))
    path = to / PAGE if to else drawn.assigned.folder.with_name(f"{grouping.name}.html")
    write_whole(path, drawn.page)
    if as_json:
        told = {"page": str(path), "folder": str(drawn.assigned.folder), "layouts": drawn.layouts}
        names = {str(each): said for each, said in drawn.names.items()}
        print_json({**told, "names": names, "caveats": drawn.assigned.about["caveats"]})
        return
    size = len(drawn.page.encode()) / 1e6
    out.print(f"{shown(path)} ({size:.2f} MB; places by {' and '.join(drawn.layouts)})")
