"""Commands about studies and clusters: plan, tune, settings, submit."""

from typing import Annotated

import typer

from casas_ray.catalog import find_machine
from casas_ray.cli.app import (
    Arms,
    AsJson,
    Changes,
    Fresh,
    NoWandb,
    OnMachine,
    Quick,
    Seeds,
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
    seeds: Seeds = None,
    arms: Arms = "",
    as_json: AsJson = False,
) -> None:
    """Show a study's arms, what each changes, its trials, and what so many seeds can show. Nothing
    is run.

    Example: casas-ray plan milan_ablation_mlm
    """
    from casas_ray.cli import tables
    from casas_ray.report.can_show import can_show
    from casas_ray.study import describe_arm

    asked, _, _ = study_settings(
        study, changes, quick=quick, simulated=simulated, seeds=seeds, arms=arms
    )
    shows = can_show(len(asked.seeds), len(asked.arms), asked.rope)
    if as_json:
        changed = {"base": {}} | {arm.name: describe_arm(asked, arm) for arm in asked.arms}
        trials = [[trial.arm, trial.recipe.seed] for trial in asked.trials()]
        marks = {"caveats": list(asked.caveats), "quick": asked.quick}
        about = {"arms": changed, "trials": trials, "rope": asked.rope}
        print_json({"study": asked.name, **marks, **about, "can_show": shows.as_dict()})
    else:
        out.print(asked.question, tables.plan(asked), " ".join(shows.sentences()), sep="\n")


@app.command()
def tune(
    study: Annotated[str, typer.Argument(help="A study's name, or the path of its file.")],
    changes: Changes = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    seeds: Seeds = None,
    arms: Arms = "",
    extend: Annotated[
        bool, typer.Option("--extend", help="Add what is asked for to a study that ran before.")
    ] = False,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Add seeds until each arm has a verdict.")
    ] = False,
    most: Annotated[int, typer.Option(min=6, help="Seeds at most, with --until-decided.")] = 12,
    fresh: Fresh = False,
    no_wandb: NoWandb = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm and seed of a study and judge them; the same command goes on after a stop.

    Example: casas-ray tune milan_ablation_mlm --simulated --quick
    """
    asked, on, tracking = study_settings(
        study,
        changes,
        quick=quick,
        simulated=simulated,
        machine=machine,
        seeds=seeds,
        arms=arms,
    )
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    from casas_ray.run.rounds import Rounds

    rounds = Rounds(on, tracking, say, stepping, listening)
    if until_decided:
        record = rounds.until_decided(asked, most, fresh=fresh)
    else:
        record = rounds.train(asked, fresh=fresh, extend=extend)
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
