"""The command `discover`: from a home's log to a map of what happens in it, in one go."""

import functools
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.catalog import find_base
from casas_ray.cli import completion
from casas_ray.cli.app import (
    AsJson,
    Changes,
    NoWandb,
    OnMachine,
    Quick,
    Simulated,
    command,
    settings,
)
from casas_ray.cli.clustering import HowMany, count_of
from casas_ray.cli.console import judging, listening, out, print_json, say, stepping, waiting
from casas_ray.cli.given import given_data, settings_of_set
from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.errors import SettingsError
from casas_ray.files import shown, write_whole
from casas_ray.records.own_folder import refuse_strangers
from casas_ray.records.run_record import RunRecord, run_folder
from casas_ray.study import quickened

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.evals.discovery import Found
    from casas_ray.evals.evaluation import Evaluation
    from casas_ray.evals.maps.drawn import Drawn

_BASE = "recommended"


@command("prepare", "train", "cluster", "map", "evaluate")
def discover(
    home: Annotated[
        str,
        typer.Argument(
            metavar="HOME",
            help="A home's name, several with commas, or a prepared set.",
            autocompletion=completion.homes,
        ),
    ],
    changes: Changes = None,
    k: HowMany = "",
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    no_wandb: NoWandb = False,
    as_json: AsJson = False,
) -> None:
    """Prepare, train, cluster, map and evaluate a home.

    Hand-made features stand beside what was learned; the better of them, chosen on validation days,
    is drawn. No label is needed, and the test days stay untouched. The same command goes on after a
    stop.

    Example: casas-ray discover milan --simulated --quick
    """
    count = count_of(k, "kmeans")
    recipe, on, tracking, prepared = _plan(
        home, changes or [], quick=quick, simulated=simulated, machine=machine
    )
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    run = _train(recipe, on, tracking, prepared, quick=quick)
    found, evaluation, drawn, page = _look(run, count)
    if as_json:
        _print_json(run, found, evaluation, drawn, page)
        return
    _show(run, found, evaluation, drawn, page)


def _plan(
    home: str, changes: list[str], *, quick: bool, simulated: bool, machine: str
) -> "tuple[Recipe, Machine, Tracking, PreparedSet | None]":
    """What is to be trained and where, and the set where one was named."""
    twice = next((word for word in changes if word.startswith("data.homes=")), "")
    if twice:
        raise SettingsError(
            f"both {home} and {twice} name the home.", hint="leave the setting out."
        )
    if not home or "=" in home:
        raise SettingsError(
            f"'{home}' is no home's name.", hint="`casas-ray homes` lists those at hand."
        )
    given, words = given_data({}, [f"data.homes={home}", *changes], home, simulated=simulated)
    base = find_base(_BASE)
    recipe, on, tracking = settings(
        quickened(base) if quick else base,
        words,
        quick=quick,
        simulated=simulated,
        machine=machine,
    )
    if given is None:
        return recipe, on, tracking, None
    prepared = given.prepared()
    return recipe.with_data(settings_of_set(prepared)), on, tracking, prepared


def _train(
    recipe: Recipe,
    on: Machine,
    tracking: Tracking,
    prepared: "PreparedSet | None",
    *,
    quick: bool,
) -> Path:
    """The folder of the trained run; one that has finished is not trained again."""
    simulated = prepared is not None and prepared.simulated
    folder = run_folder(recipe, quick=quick, simulated=simulated)
    # Before anything is prepared, which takes minutes and writes.
    refuse_strangers(folder)
    paths.require_writable(folder, what="the run's folder")
    with waiting("loading torch"):
        from casas_ray.evals.tuned import require_scikit_learn
        from casas_ray.records.run_result import RunResult
        from casas_ray.records.storage_mirror import bring
        from casas_ray.run.gather import gather
        from casas_ray.run.launch import run_training

        require_scikit_learn()
    say("[1/4] the set and the vectors of its captions")
    bring(on, folder)
    with stepping() as steps:
        data = gather(recipe, on, say, steps, prepared)
    ended = RunResult.read(folder).status == "finished"
    say(f"[2/4] {'trained before' if ended else 'training'}: {folder.name}, machine {on.name}")
    record = RunRecord(
        folder.name,
        folder,
        recipe,
        tracking,
        caveats=data.prepared.caveats,
        quick=quick,
        files=data.prepared.made_of,
    )
    with listening([record], folder.name) as listeners:
        run_training(record, on, data, listeners)
    return folder


def _look(folder: Path, count: int | None) -> "tuple[Found, Evaluation | None, Drawn, Path]":
    from casas_ray.evals.discovery import cluster_all_ways, probed
    from casas_ray.evals.grouping import Grouping
    from casas_ray.evals.maps.drawn import draw
    from casas_ray.evals.trained_run import TrainedRun

    run = TrainedRun.open(folder)
    with judging([folder.name]) as tell:
        watch = functools.partial(tell, 0)
        say("[3/4] clusters, and their map")
        found = cluster_all_ways(run, count, watch)
        grouping = Grouping(found.better, k=count)
        words = ["casas-ray", "map", shown(folder), "--features", found.better]
        words += ["--k", str(count or "auto")]
        drawn = draw(run.data.prepared, run, grouping, None, shlex.join(words), watch)
        page = drawn.assigned.folder.with_name(f"{grouping.name}.html")
        write_whole(page, drawn.page)
        say("[4/4] activities told from vectors, validation days")
        return found, probed(run, watch), drawn, page


def _print_json(
    run: Path, found: "Found", evaluation: "Evaluation | None", drawn: "Drawn", page: Path
) -> None:
    names = {str(each): said for each, said in drawn.names.items()}
    told = {"run": str(run), "page": str(page), "better": found.better, "said": found.said}
    judged = evaluation.as_dict() if evaluation else None
    print_json({**told, "names": names, "clusters": found.chosen.about, "evaluation": judged})


def _show(
    run: Path, found: "Found", evaluation: "Evaluation | None", drawn: "Drawn", page: Path
) -> None:
    from casas_ray.cli import judged_tables, tables

    chosen = found.chosen
    title = tables.heading(f"{run.name}, validation days", chosen.about["caveats"])
    if evaluation is not None:
        told = judged_tables.by_level({"": [evaluation]}, f"Activities told from vectors: {title}")
        out.print(told)
    out.print(judged_tables.clusters(chosen, title), judged_tables.each_cluster(chosen), sep="\n")
    out.print(found.said)
    out.print(f"The map: {shown(page)} ({len(drawn.page.encode()) / 1e6:.2f} MB)")
    out.print(f"The run: {shown(run)}; `casas-ray evaluate` looks at its test days, once.")
