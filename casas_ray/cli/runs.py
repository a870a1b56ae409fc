"""Commands that plan and run: plan, tune, train, submit."""

from pathlib import Path
from typing import Annotated, Any

import typer

from casas_ray import places
from casas_ray.catalog import find_base, find_machine
from casas_ray.cli.app import (
    AsJson,
    Changes,
    Fresh,
    NoWandb,
    OnMachine,
    Quick,
    Simulated,
    WandbGroup,
    WandbName,
    WandbNotes,
    WandbProject,
    WandbTags,
    app,
    settings,
    study_settings,
    tracking_words,
)
from casas_ray.cli.console import listening, out, print_json, say, stepping
from casas_ray.cli.results import show_run, show_study
from casas_ray.config import Machine, Recipe
from casas_ray.errors import SettingsError
from casas_ray.study import Study, quickened


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
    with listening(jobs, found.name, no_wandb=no_wandb) as listeners:
        launch.run_study(run, on, ready, listeners)
    show_study(run.folder, as_json=as_json)


@app.command()
def train(
    base: Annotated[str, typer.Argument(help="A starting point, e.g. milan_baseline.")] = "",
    changes: Changes = None,
    train_data: Annotated[
        Path | None, typer.Option("--train-data", "--train_data", help="Alignment JSON.")
    ] = None,
    vocab: Annotated[Path | None, typer.Option("--vocab", help="Its vocabulary.")] = None,
    val_data: Annotated[
        Path | None, typer.Option("--val-data", "--val_data", help="Validation JSON.")
    ] = None,
    test_data: Annotated[
        Path | None, typer.Option("--test-data", "--test_data", help="Test JSON, if any.")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "--output_dir", help="The run's folder.")
    ] = None,
    name: Annotated[str, typer.Option(help="The run's name.")] = "",
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    no_wandb: NoWandb = False,
    wandb_project: WandbProject = None,
    wandb_name: WandbName = None,
    wandb_tags: WandbTags = None,
    wandb_notes: WandbNotes = None,
    wandb_group: WandbGroup = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Only show where the time of a few steps goes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one recipe; the same command goes on where it was stopped.

    Example: casas-ray train milan_baseline data.homes=al_smarthome --machine two-workers
    """
    if "=" in base:
        base, changes = "", [base, *(changes or [])]
    recipe = find_base(base or "milan_baseline")
    given = _from_json(train_data, vocab, val_data, test_data)
    if given:
        _refuse_log_settings(changes or [], simulated=simulated)
    told = tracking_words(
        wandb_tags,
        project=wandb_project,
        name=wandb_name,
        notes=wandb_notes,
        group=wandb_group,
    )
    extra: dict[str, object] = {"data.homes": given.manifest["home"]} if given else {}
    recipe, on, tracking = settings(
        quickened(recipe) if quick else recipe,
        [*told, *(changes or [])],
        simulated=simulated,
        machine=machine,
        extra=extra,
    )
    folder = _run_folder(recipe, name, output_dir, quick=quick)
    from casas_ray.run import launch
    from casas_ray.run.job import Job

    with stepping() as steps:
        ready = launch.gather(recipe, on, say, steps, given)
    launch.check(recipe, on, ready.prepared)
    if profile:
        _profile(folder, recipe, on, ready, as_json=as_json)
        return
    job = Job(folder.name, folder, recipe, tracking, caveats=ready.prepared.caveats, quick=quick)
    with listening([job], folder.name, no_wandb=no_wandb) as listeners:
        result = launch.run_training(job, on, ready, listeners)
    show_run(result, job.caveats, quick=quick, as_json=as_json)


def _profile(folder: Path, recipe: Recipe, on: Machine, ready: Any, *, as_json: bool) -> None:
    from dataclasses import asdict

    from casas_ray.report import text
    from casas_ray.run.profile import profile as take_profile

    found = take_profile(folder, recipe, on, ready.prepared, ready.vectors)
    if as_json:
        print_json(asdict(found) | {"trace": str(found.trace)})
    else:
        out.print(text.profile(asdict(found)))
        out.print(f"the trace, for chrome://tracing, is {places.shown(found.trace)}")


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


def _from_json(
    train_data: Path | None, vocab: Path | None, val_data: Path | None, test_data: Path | None
) -> Any:  # PreparedSet or None; its module is imported late
    given = {"--train-data": train_data, "--vocab": vocab, "--val-data": val_data}
    missing = [flag for flag, path in given.items() if path is None]
    if len(missing) == len(given) and test_data is None:
        return None
    if train_data is None or vocab is None or val_data is None:
        raise SettingsError(
            f"alignment JSON needs {', '.join(missing)} too.",
            hint="--train-data train.json --vocab vocab.json --val-data val.json",
        )
    from casas_ray.corpus.exchange import JsonFiles, prepare_json

    files = {"train": train_data, "val": val_data} | ({"test": test_data} if test_data else {})
    return prepare_json(JsonFiles(files, vocab))


def _refuse_log_settings(changes: list[str], *, simulated: bool) -> None:
    idle = [word for word in changes if word.startswith("data.")]
    if simulated or idle:
        raise SettingsError(
            f"{'--simulated' if simulated else idle[0]} has no effect on alignment JSON, whose "
            "windows are cut already.",
            hint="leave it out, or prepare a raw log instead.",
        )


def _run_folder(recipe: Recipe, name: str, output_dir: Path | None, *, quick: bool) -> Path:
    if output_dir is not None:
        return output_dir.absolute()
    marks = [mark for mark, on in (("quick", quick), ("simulated", recipe.data.simulated)) if on]
    parts = [recipe.name, recipe.data.label, *marks, f"seed{recipe.seed}", recipe.digest()[:8]]
    return places.runs() / places.safe_name(name or "-".join(parts), what="run")
