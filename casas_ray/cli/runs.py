"""Commands that plan and run: plan, tune, train, submit."""

from typing import Annotated, Any

import typer

from casas_ray.catalog import find_machine
from casas_ray.cli.app import (
    AsJson,
    Changes,
    Fresh,
    NoWandb,
    OnMachine,
    Quick,
    Simulated,
    app,
    study_settings,
)
from casas_ray.cli.console import listening, out, print_json, say, stepping, tells_wandb
from casas_ray.cli.results import show_study, summarise
from casas_ray.config import Machine
from casas_ray.study import Study


@app.command()
def plan(
    study: Annotated[str, typer.Argument(help="A study's name, or the path of its file.")],
    changes: Changes = None,
    quick: Quick = False,
    simulated: Simulated = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's arms, what each changes, seeds and trials. Nothing is run.

    Example: casas-ray plan milan_ablation_mlm
    """
    from casas_ray.report import text
    from casas_ray.study import describe_arm

    found, _, _ = study_settings(study, changes, quick=quick, simulated=simulated)
    if as_json:
        arms = {arm.name: describe_arm(found, arm) for arm in found.arms}
        trials = [[trial.arm, trial.recipe.seed] for trial in found.trials()]
        print_json({"study": found.name, "arms": {"base": {}} | arms, "trials": trials})
    else:
        out.print(found.question, text.plan(found), sep="\n")


@app.command()
def tune(
    study: Annotated[str, typer.Argument(help="A study's name, or the path of its file.")],
    changes: Changes = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    fresh: Fresh = False,
    no_wandb: NoWandb = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm and seed of a study and compare them; the same command goes on after a stop.

    Example: casas-ray tune milan_ablation_mlm --simulated --quick
    """
    found, on, tracking = study_settings(
        study, changes, quick=quick, simulated=simulated, machine=machine
    )
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    from casas_ray.run import launch

    ready = _gather_all(found, on, launch)
    for trial, data in zip(found.trials(), ready, strict=True):
        launch.check(trial.recipe, on, data.prepared)
    run = launch.lay_out(found, tracking, ready, fresh=fresh)
    waiting = run.open_jobs()
    if len(waiting) < len(run.jobs):
        done = len(run.jobs) - len(waiting)
        say(f"{done} of {len(run.jobs)} trials ended before; they stand (--fresh runs all again).")
    jobs = [run.jobs[place] for place in waiting]
    with listening(jobs, found.name) as listeners:
        launch.run_study(run, on, ready, listeners)
    if jobs and tells_wandb(tracking):
        summarise(run.folder, tracking)
    show_study(run.folder, as_json=as_json)


@app.command(name="settings")
def settings_page(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every setting with what it takes, its default and what it does.

    Example: casas-ray settings | grep temperature
    """
    from dataclasses import asdict

    from casas_ray.report import reference

    if markdown:
        print(reference.markdown(), end="")
    elif as_json:
        print_json([asdict(entry) for entry in reference.entries()])
    else:
        for entry in reference.entries():
            print(f"{entry.path}={entry.default}  ({entry.takes})  {entry.says}")


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def submit(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="A casas-ray command.")
    ],
    machine: OnMachine = "local-head",
    dashboard: Annotated[str, typer.Option(help="The cluster's dashboard address.")] = "",
) -> None:
    """Run a command on a Ray cluster, follow its log and exit as it does; only tracked files
    travel.

    Example: casas-ray submit --machine local-head -- tune milan_ablation_mlm --simulated --quick
    """
    on = find_machine(machine)
    if dashboard:
        on = on.replace({"dashboard": dashboard})
    words = command[1:] if command[0] == "casas-ray" else command
    from casas_ray.run.environment import prepare_environment

    prepare_environment()
    from casas_ray.run.submit import submit as send

    raise typer.Exit(send(words, on, lambda text: print(text, flush=True)))


def _gather_all(
    study: Study, machine: Machine, launch: Any
) -> list[Any]:  # Any: the module run.launch, imported late
    made: dict[str, Any] = {}
    with stepping() as steps:
        for trial in study.trials():
            key = trial.recipe.data.digest() + trial.recipe.text.digest()
            if key not in made:
                made[key] = launch.gather(trial.recipe, machine, say, steps)
    recipes = [trial.recipe for trial in study.trials()]
    return [made[recipe.data.digest() + recipe.text.digest()] for recipe in recipes]
