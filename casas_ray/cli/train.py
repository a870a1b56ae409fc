"""The command `train`: one recipe, from our settings or as the earlier scripts were called."""

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
    WandbGroup,
    WandbName,
    WandbNotes,
    WandbProject,
    WandbTags,
    command,
    configuration,
    settings,
    tracking_words,
)
from casas_ray.cli.console import listening, out, print_json, say, stepping, waiting
from casas_ray.cli.given import (
    OutputDir,
    TestData,
    TrainData,
    ValData,
    Vocab,
    given_data,
    settings_of_set,
)
from casas_ray.cli.results import show_run
from casas_ray.cli.typed_path import path_option
from casas_ray.config import Machine, Recipe
from casas_ray.config.flat_json import FlatConfig
from casas_ray.errors import SettingsError
from casas_ray.files import shown
from casas_ray.records.own_folder import refuse_strangers
from casas_ray.records.run_record import RunRecord, run_folder
from casas_ray.records.run_result import RunResult
from casas_ray.study import quickened
from casas_ray.wandb_config import experiment_named

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.loader.training_data import TrainingData

Experiment = Annotated[
    str,
    typer.Option(
        help="milan_baseline or multi_dataset, with its name, notes and tags.",
        autocompletion=completion.starting_points,
    ),
]
FlatJson = Annotated[
    Path | None,
    path_option("--config", help="A flat JSON configuration, as of the earlier scripts."),
]
OnlyProfile = Annotated[
    bool, typer.Option("--profile", help="Only show where the time of a few steps goes.")
]


@command("tune", "runs", "evaluate", "probe", "plot", "settings")
def train(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="A starting point; else `recommended`.",
            autocompletion=completion.first_of_train,
        ),
    ] = "",
    changes: Changes = None,
    train_data: TrainData = None,
    vocab: Vocab = None,
    val_data: ValData = None,
    test_data: TestData = None,
    output_dir: OutputDir = None,
    experiment: Experiment = "",
    config: FlatJson = None,
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
    profile: OnlyProfile = False,
    as_json: AsJson = False,
) -> None:
    """Train one recipe; the same command goes on after a stop.

    Example: casas-ray train milan_baseline data.homes=al_smarthome --machine two-workers
    """
    if "=" in base:  # no starting point was given, and the first change stands in its stead
        base, changes = "", [base, *(changes or [])]
    flat = _flat(config)
    # Code of the current folder is run only for a name that was typed.
    recipe = find_base(_base_of(base, experiment, config), here=bool(base or experiment))
    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data, "vocab": vocab}
    files = {name: path or flat.files.get(name) for name, path in files.items()}
    homes = flat.settings.get("data.homes", recipe.data.homes)
    given, words = given_data(files, changes or [], homes, simulated=simulated)
    wandb_words = tracking_words(
        wandb_tags, project=wandb_project, name=wandb_name, notes=wandb_notes, group=wandb_group
    )
    recipe, on, tracking = settings(
        quickened(recipe) if quick else recipe,
        [*wandb_words, *words],
        quick=quick,
        simulated=simulated,
        machine=machine,
        extra={**_tracking_of(experiment), **flat.settings},
    )
    prepared = given.prepared() if given else None
    if given and prepared:
        recipe = recipe.with_data(settings_of_set(prepared))
        given.say_idle(flat.settings, recipe.data, config or Path())
    if no_wandb or not flat.use_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    output_dir = output_dir or flat.files.get("output_dir")
    folder = output_dir.absolute() if output_dir else _folder(recipe, name, quick, prepared)
    # Before anything is prepared, which takes minutes and writes.
    refuse_strangers(folder)
    paths.require_writable(folder, what="the run's folder")
    with waiting("loading torch"):
        from casas_ray.records.storage_mirror import bring
        from casas_ray.run.gather import gather
        from casas_ray.run.launch import run_training

    bring(on, folder)
    with stepping() as steps:
        data = gather(recipe, on, say, steps, prepared)
    if profile:
        _profile(folder, recipe, on, data, as_json=as_json)
        return
    if RunResult.read(folder).status == "finished":
        say(f"{shown(folder)} finished before; nothing is trained, and its result follows.")
    else:
        say(f"training {folder.name} on machine {on.name}")
    caveats = data.prepared.caveats
    record = RunRecord(
        folder.name if output_dir else name or folder.name,
        folder,
        recipe,
        tracking,
        caveats=caveats,
        quick=quick,
        files=data.prepared.made_of,
    )
    with listening([record], folder.name) as listeners:
        result = run_training(record, on, data, listeners)
    show_run(result, caveats, quick=quick, as_json=as_json)


def _flat(config: Path | None) -> FlatConfig:
    flat = configuration(config) if config else FlatConfig()
    for key, why in flat.no_effect.items():
        say(f"{key} in {config} has no effect: {why}.")
    return flat


def _base_of(base: str, experiment: str, config: Path | None) -> str:
    """The name of the starting point.

    A configuration of the earlier scripts changes the published baseline, not `recommended`.
    """
    if experiment and base:
        raise SettingsError(
            f"both a starting point, {base}, and --experiment {experiment} are given.",
            hint="leave one out.",
        )
    return base or experiment or ("milan_baseline" if config else "recommended")


def _tracking_of(experiment: str) -> dict[str, object]:
    if not experiment:
        return {}
    name, notes, tags = experiment_named(experiment)
    return {"tracking.name": name, "tracking.notes": notes, "tracking.tags": tags}


def _folder(recipe: Recipe, name: str, quick: bool, prepared: "PreparedSet | None") -> Path:
    simulated = prepared is not None and prepared.simulated
    return run_folder(recipe, name, quick=quick, simulated=simulated)


def _profile(
    folder: Path, recipe: Recipe, on: Machine, data: "TrainingData", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from casas_ray.cli import tables
    from casas_ray.training.profile import profile as take_profile

    taken = take_profile(folder, recipe, on, data)
    if as_json:
        print_json(asdict(taken) | {"trace": str(taken.trace)})
    else:
        out.print(tables.profile(taken))
        out.print(f"the trace, for chrome://tracing, is {shown(taken.trace)}")
