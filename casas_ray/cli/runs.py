"""Commands about studies and clusters: plan, tune, settings, submit."""

from typing import Annotated

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
from casas_ray.cli.console import listening, out, pass_on, print_json, say, stepping
from casas_ray.cli.results import show_study


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
    from casas_ray.cli import tables
    from casas_ray.study import describe_arm

    asked, _, _ = study_settings(study, changes, quick=quick, simulated=simulated)
    if as_json:
        arms = {arm.name: describe_arm(asked, arm) for arm in asked.arms}
        trials = [[trial.arm, trial.recipe.seed] for trial in asked.trials()]
        marks = {"caveats": list(asked.caveats), "quick": asked.quick}
        print_json({"study": asked.name, **marks, "arms": {"base": {}} | arms, "trials": trials})
    else:
        out.print(asked.question, tables.plan(asked), sep="\n")


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
    asked, on, tracking = study_settings(
        study, changes, quick=quick, simulated=simulated, machine=machine
    )
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    from casas_ray.records.run_record import unsettled
    from casas_ray.records.storage_mirror import bring, send
    from casas_ray.records.study_record import lay_out
    from casas_ray.run.conclude import conclude
    from casas_ray.run.gather import gather_study
    from casas_ray.run.launch import run_study

    with stepping() as steps:
        data = gather_study(asked, on, say, steps)
    sets = [trial_data.prepared for trial_data in data]
    record, runs = lay_out(asked, tracking, sets, fresh=fresh)
    bring(on, record.folder, [run.folder for run in runs])
    waiting = unsettled(runs)
    if len(waiting) < len(runs):
        done = len(runs) - len(waiting)
        say(f"{done} of {len(runs)} trials ended before; they stand (--fresh runs all again).")
    open_runs, open_data = [runs[index] for index in waiting], [data[index] for index in waiting]
    with listening(open_runs, asked.name) as listeners:
        run_study(record.folder, open_runs, on, open_data, listeners)
    # Before an error for trials that failed: the results stand whatever follows.
    conclude(record, tracking, say, is_news=bool(open_runs))
    send(on, [record.folder])
    show_study(record, as_json=as_json)


@app.command(name="settings")
def settings_page(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every setting with what it takes, its default and what it does.

    Example: casas-ray settings | grep temperature
    """
    from dataclasses import asdict

    from casas_ray.cli import settings_page

    if markdown:
        print(settings_page.markdown(), end="")
    elif as_json:
        print_json([asdict(entry) for entry in settings_page.entries()])
    else:
        for entry in settings_page.entries():
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

    prepare_environment()  # before ray is imported, which reads its token's mode but once
    from casas_ray.run.cluster.submit import submit as send

    raise typer.Exit(send(words, on, pass_on))
