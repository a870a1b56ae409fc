"""Commands that bring results from a cluster and data to it: pull, push."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, say, stepping, waiting
from casas_ray.cli.jobs import AtDashboard, OnCluster, machine_at, reaching
from casas_ray.files import shown
from casas_ray.records.own_folder import STUDY_FILE

Kept = Annotated[
    Literal["best", "all", "none"],
    typer.Option("--weights", help="Checkpoints to bring: of each run the best one, all, none."),
]


@command("submit", "push", "table", "report", "evaluate")
def pull(
    name: Annotated[
        str,
        typer.Argument(metavar="STUDY|RUN", help="A study's name, or a folder's below data/runs."),
    ],
    machine: OnCluster = "local-head",
    dashboard: AtDashboard = "",
    weights: Kept = "best",
    storage: Annotated[
        str, typer.Option(help="From this storage, or the machine's, and from no cluster.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Bring a study's results from a cluster to data/runs here.

    What is here already is brought up to date; what went on here is never written over.

    Example: casas-ray pull milan_ablation_mlm --machine local-head
    """
    parts = [paths.safe_name(part, what="the study or run") for part in name.split("/")]
    on = machine_at(machine, dashboard)
    if address := storage or on.storage:
        from casas_ray.records.storage_mirror import copy_here

        with waiting(f"reading {address}"):
            folder = copy_here(address, parts, checkpoints=weights)
        _show_pulled(folder, {}, as_json=as_json)
        return
    with reaching(on) as there, stepping() as steps:
        from casas_ray.run.cluster.pull import pull as bring

        brought = bring(there, name, weights, steps)
    say(f"{brought.files} files, {brought.bytes / 1e6:.1f} MB")
    sizes = {"files": brought.files, "bytes": brought.bytes}
    _show_pulled(brought.folder, sizes, as_json=as_json)


def _show_pulled(folder: Path, sizes: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **sizes})
    else:
        show = "table" if (folder / STUDY_FILE).is_file() else "runs"
        out.print(f"It lies in {shown(folder)}; casas-ray {show} {shown(folder)} shows it")


@command("submit", "pull", "prepare", "homes")
def push(
    name: Annotated[
        str,
        typer.Argument(
            metavar="HOME|SET",
            help="A home, with its log and the sets made of it; or one set.",
            autocompletion=completion.homes,
        ),
    ],
    machine: OnCluster = "local-head",
    dashboard: AtDashboard = "",
    as_json: AsJson = False,
) -> None:
    """Send a home's log and prepared sets to a cluster's data folder.

    What is there already is not sent again. Whoever works on the cluster's head can read it there.

    Example: casas-ray push al_smarthome --machine local-head
    """
    from casas_ray.run.cluster.goods import items_of, size_of

    goods = items_of(name)
    for item, found in goods:
        size = size_of(list(found.values()))
        say(f"{item.kind} {item.name}: {len(found)} file(s), {size / 1e6:.1f} MB")
    with reaching(machine_at(machine, dashboard)) as there, stepping() as steps:
        from casas_ray.run.cluster.push import push as send

        done = send(there, goods, steps)
    if as_json:
        print_json({"sent": list(done.sent), "there": list(done.there), "bytes": done.bytes})
        return
    for each in done.there:
        out.print(f"{each} was there already")
    for each in done.sent:
        out.print(f"{each} was sent, and is there as it is here")
