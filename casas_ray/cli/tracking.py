"""Commands about W&B and this machine: sync, audit, doctor, config."""

from pathlib import Path
from typing import Annotated, Any

import typer

from casas_ray import places
from casas_ray.catalog import find_base
from casas_ray.cli.app import AsJson, Changes, OnMachine, app, settings
from casas_ray.cli.console import out, print_json
from casas_ray.cli.results import summarise
from casas_ray.config import Recipe
from casas_ray.errors import DataError, SetupError
from casas_ray.flatconfig import read_flat, written


@app.command()
def sync(
    folder: Annotated[Path, typer.Argument(metavar="RUN|STUDY", help="Its folder.")],
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Make TensorBoard files instead.")
    ] = False,
) -> None:
    """Send W&B what it lacks of a run, or of each of a study; or make TensorBoard files anew.

    Example: casas-ray sync data/runs/milan_ablation_mlm-milan-1a2b3c4d
    """
    jobs = _jobs(folder)
    from casas_ray.run.launch import locked

    for job in jobs:
        # A run's views are written by whoever follows it; a study is locked as a whole.
        with locked(job.folder.parent if job.group else job.folder):
            done = _made_anew(job, tensorboard=tensorboard)
        out.print(f"{job.name}: {done}", markup=False)
    if (folder / "study.json").is_file() and not tensorboard:
        summarise(folder, jobs[0].tracking.replace({"mode": "auto"}))


def _made_anew(job: Any, *, tensorboard: bool) -> str:
    if tensorboard:
        from casas_ray.run.boards import rebuild

        rebuild(job)
        return f"made anew: tensorboard --logdir {places.shown(job.folder)}"
    from casas_ray.evals.judge import recorded
    from casas_ray.run.aside import send_verdict
    from casas_ray.run.tracking import sync as sync_run

    mode = sync_run(job)
    verdict = recorded(job.folder)
    if verdict is not None:
        send_verdict(job, verdict, mode)
    if mode == "online":
        return "W&B has all of it"
    return "made anew offline; W&B has no key here or cannot be reached"


@app.command()
def audit(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or of a study.")],
    as_json: AsJson = False,
) -> None:
    """Show, class by class, what of a run leaves this machine when W&B hears of it.

    Example: casas-ray audit data/runs/milan_tiny-milan-seed0-1a2b3c4d
    """
    from casas_ray.evals.judge import recorded
    from casas_ray.report import text
    from casas_ray.results import read_rows
    from casas_ray.run.allowed import classes

    job = _jobs(run)[0]
    found = classes(job, read_rows(job.folder), recorded(job.folder))
    if as_json:
        print_json(found)
    else:
        out.print(text.audit(job.name, found))


@app.command()
def doctor(changes: Changes = None, machine: OnMachine = "laptop", as_json: AsJson = False) -> None:
    """Check this machine for what training needs: a line each, and what to do.

    Example: casas-ray doctor tracking.entity=my-team
    """
    from dataclasses import asdict

    from casas_ray.report import text
    from casas_ray.run.doctor import examine

    recipe, on, told = settings(Recipe(), changes, simulated=False, machine=machine)
    found = examine(on, told, recipe.text)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        out.print(text.checks([asdict(one) for one in found]))
    bad = [one for one in found if one.state == "missing"]
    if bad:
        raise SetupError(
            f"{len(bad)} of {len(found)} checks failed: {', '.join(one.name for one in bad)}.",
            hint=bad[0].fix,
        )


@app.command()
def config(
    base: Annotated[str, typer.Argument(help="A starting point, or a JSON file.")],
    changes: Changes = None,
) -> None:
    """Print a recipe as one flat JSON object, which `casas-ray train --config` reads back.

    Example: casas-ray config milan_baseline optim.epochs=10 > mine.json
    """
    path = Path(base)
    is_file = path.suffix == ".json"
    asked = read_flat(path).settings if is_file else {}
    recipe = find_base("milan_baseline" if is_file else base)
    recipe, _, tracking = settings(recipe, changes, simulated=False, extra=asked)
    print(written(recipe, tracking))


def _jobs(folder: Path) -> list[Any]:
    from casas_ray.run.job import RUN_FILE, Job

    runs = [folder] if (folder / RUN_FILE).is_file() else sorted(folder.glob("*/"))
    found = [Job.recall(run) for run in runs if (run / RUN_FILE).is_file()]
    if not found:
        raise DataError(f"{places.shown(folder)} holds no run.", hint="see data/runs/")
    return found
