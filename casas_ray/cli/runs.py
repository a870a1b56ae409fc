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
    StudyName,
    WandbGroup,
    WandbName,
    WandbNotes,
    WandbProject,
    WandbTags,
    command,
    study_settings,
    tracking_words,
)
from casas_ray.cli.console import listening, out, pass_on, print_json, say, stepping, waiting
from casas_ray.cli.given import OutputDir, TestData, TrainData, ValData, Vocab, own_or_none
from casas_ray.cli.results import show_study


@command("tune", "settings")
def plan(
    study: StudyName,
    changes: Changes = None,
    train_data: TrainData = None,
    vocab: Vocab = None,
    val_data: ValData = None,
    test_data: TestData = None,
    quick: Quick = False,
    simulated: Simulated = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's arms, what each changes, seeds and trials. Nothing is trained.

    Example: casas-ray plan milan_ablation_mlm
    """
    from casas_ray.cli import tables
    from casas_ray.study import describe_arm

    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data, "vocab": vocab}
    asked, _, _, given = study_settings(
        study, changes, files=files, quick=quick, simulated=simulated
    )
    caveats = given.caveats if given else asked.caveats
    if as_json:
        arms = {arm.name: describe_arm(asked, arm) for arm in asked.arms}
        trials = [[trial.arm, trial.recipe.seed] for trial in asked.trials()]
        marks: dict[str, object] = {"caveats": list(caveats), "quick": asked.quick}
        marks["max_steps"] = asked.base.optim.max_steps
        print_json({"study": asked.name, **marks, "arms": {"base": {}} | arms, "trials": trials})
    else:
        out.print(asked.question, tables.plan(asked, caveats), sep="\n")


@command("plan", "runs", "table", "plot", "evaluate")
def tune(
    study: StudyName,
    changes: Changes = None,
    train_data: TrainData = None,
    vocab: Vocab = None,
    val_data: ValData = None,
    test_data: TestData = None,
    output_dir: OutputDir = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    fresh: Fresh = False,
    no_wandb: NoWandb = False,
    wandb_project: WandbProject = None,
    wandb_name: WandbName = None,
    wandb_tags: WandbTags = None,
    wandb_notes: WandbNotes = None,
    wandb_group: WandbGroup = None,
    as_json: AsJson = False,
) -> None:
    """Train every arm and seed of a study, and compare them.

    The same command goes on after a stop, and trains nothing twice.

    Example: casas-ray tune milan_ablation_mlm --simulated --quick
    """
    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data, "vocab": vocab}
    wandb_words = tracking_words(
        wandb_tags, project=wandb_project, name=wandb_name, notes=wandb_notes, group=wandb_group
    )
    words = [*wandb_words, *(changes or [])]
    folder = own_or_none(output_dir)
    asked, on, tracking, given = study_settings(
        study, words, files=files, quick=quick, simulated=simulated, machine=machine
    )
    if no_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    with waiting("loading torch"):
        from casas_ray.records.run_record import unsettled
        from casas_ray.records.storage_mirror import bring, send
        from casas_ray.records.study_record import lay_out
        from casas_ray.run.conclude import conclude
        from casas_ray.run.gather import gather_study
        from casas_ray.run.launch import run_study

    with stepping() as steps:
        data = gather_study(asked, on, say, steps, given)
    sets = [trial_data.prepared for trial_data in data]
    record, runs = lay_out(asked, tracking, sets, folder=folder, fresh=fresh)
    bring(on, record.folder, [run.folder for run in runs])
    unended = unsettled(runs)
    if len(unended) < len(runs):
        done = len(runs) - len(unended)
        say(f"{done} of {len(runs)} trials ended before; they stand (--fresh runs all again).")
    open_runs, open_data = [runs[index] for index in unended], [data[index] for index in unended]
    if open_runs:
        say(f"training {len(open_runs)} trials on machine {on.name}")
    with listening(open_runs, asked.name) as listeners:
        run_study(record.folder, open_runs, on, open_data, listeners)
    # Before an error for trials that failed: the results stand whatever follows.
    with waiting("keeping the comparison"):
        conclude(record, tracking, say, is_news=bool(open_runs))
    send(on, [record.folder])
    show_study(record, as_json=as_json)


@command("config", "plan", name="settings")
def settings_page(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every setting: what it takes, its default, what it does.

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


@command("doctor", "tune", "train", passes_on=True)
def submit(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="A casas-ray command.")],
    machine: OnMachine = "local-head",
    dashboard: Annotated[str, typer.Option(help="The cluster's dashboard address.")] = "",
) -> None:
    """Run a command on a Ray cluster, and follow its log.

    Only files that git tracks travel; the exit code is the command's.

    Example: casas-ray submit --machine local-head -- tune milan_ablation_mlm --simulated --quick
    """
    on = find_machine(machine)
    if dashboard:
        on = on.replace({"dashboard": dashboard})
    words = words[1:] if words[0] == "casas-ray" else words
    from casas_ray.run.environment import prepare_environment

    prepare_environment()  # before ray is imported, which reads its token's mode but once
    with waiting("loading ray"):
        from casas_ray.run.cluster.submit import submit as send
    if on.dashboard:
        say(f"asking {on.dashboard}")

    raise typer.Exit(send(words, on, pass_on))
