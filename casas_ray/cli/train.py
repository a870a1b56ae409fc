"""The command `train`: one recipe, from our settings or as the earlier scripts were called."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.catalog import find_base
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
    app,
    settings,
    tracking_words,
)
from casas_ray.cli.console import listening, out, print_json, say, stepping
from casas_ray.cli.results import show_run
from casas_ray.config import Machine, Recipe
from casas_ray.config.flat_json import FlatConfig, read_flat
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

# The earlier scripts' options are typed with underscores; both spellings stay.
TrainData = Annotated[
    Path | None, typer.Option("--train-data", "--train_data", help="Alignment JSON.")
]
Vocab = Annotated[Path | None, typer.Option("--vocab", help="Its vocabulary.")]
ValData = Annotated[
    Path | None,
    typer.Option("--val-data", "--val_data", help="Validation JSON; else val.json beside."),
]
TestData = Annotated[
    Path | None, typer.Option("--test-data", "--test_data", help="Test JSON, if any.")
]
OutputDir = Annotated[
    Path | None, typer.Option("--output-dir", "--output_dir", help="The run's folder.")
]
Experiment = Annotated[
    str, typer.Option(help="milan_baseline or multi_dataset, with its name, notes and tags.")
]
FlatJson = Annotated[
    Path | None, typer.Option(help="A flat JSON configuration, as of the earlier scripts.")
]
OnlyProfile = Annotated[
    bool, typer.Option("--profile", help="Only show where the time of a few steps goes.")
]


@app.command()
def train(
    base: Annotated[str, typer.Argument(help="A starting point; else `recommended`.")] = "",
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
    """Train one recipe; the same command goes on where it was stopped.

    Example: casas-ray train milan_baseline data.homes=al_smarthome --machine two-workers
    """
    if "=" in base:  # no starting point was given, and the first change stands in its stead
        base, changes = "", [base, *(changes or [])]
    words = changes or []
    flat = _flat(config)
    # Code of the current folder is run only for a name that was typed.
    recipe = find_base(_base_of(base, experiment, config), here=bool(base or experiment))
    files = {"train_data": train_data, "val_data": val_data, "test_data": test_data}
    given = _from_json({**flat.files, **_given({**files, "vocab": vocab})})
    if given:
        _refuse_log_settings(words, simulated=simulated)
    wandb_words = tracking_words(
        wandb_tags, project=wandb_project, name=wandb_name, notes=wandb_notes, group=wandb_group
    )
    recipe, on, tracking = settings(
        quickened(recipe) if quick else recipe,
        [*wandb_words, *words],
        simulated=simulated,
        machine=machine,
        extra={**_tracking_of(experiment), **flat.settings, **_home_of(given)},
    )
    if no_wandb or not flat.use_wandb:
        tracking = tracking.replace({"mode": "disabled"})
    output_dir = output_dir or flat.files.get("output_dir")
    folder = output_dir.absolute() if output_dir else run_folder(recipe, name, quick=quick)
    # Before anything is prepared, which takes minutes and writes.
    refuse_strangers(folder)
    paths.require_writable(folder, what="the run's folder")
    from casas_ray.records.storage_mirror import bring
    from casas_ray.run.gather import check, gather
    from casas_ray.run.launch import run_training

    bring(on, folder)
    with stepping() as steps:
        data = gather(recipe, on, say, steps, given)
    check(recipe, on, data.prepared)
    if profile:
        _profile(folder, recipe, on, data, as_json=as_json)
        return
    if RunResult.read(folder).status == "finished":
        say(f"{shown(folder)} finished before; nothing is trained, and its result follows.")
    caveats = data.prepared.caveats
    record = RunRecord(folder.name, folder, recipe, tracking, caveats=caveats, quick=quick)
    with listening([record], folder.name) as listeners:
        result = run_training(record, on, data, listeners)
    show_run(result, caveats, quick=quick, as_json=as_json)


def _flat(config: Path | None) -> FlatConfig:
    flat = read_flat(config) if config else FlatConfig()
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


def _home_of(given: "PreparedSet | None") -> dict[str, object]:
    return {"data.homes": given.manifest["home"]} if given else {}


def _given(files: dict[str, Path | None]) -> dict[str, Path]:
    return {name: path for name, path in files.items() if path is not None}


def _from_json(files: dict[str, Path]) -> "PreparedSet | None":
    files = {name: path for name, path in files.items() if name != "output_dir"}
    if not files:
        return None
    if "train_data" in files and "val_data" not in files:
        beside = files["train_data"].with_name("val" + files["train_data"].suffix)
        if beside.is_file():
            say(f"validating on {shown(beside)}, which lies beside the training file")
            files["val_data"] = beside
    missing = [
        flag
        for name, flag in (
            ("train_data", "--train-data"),
            ("vocab", "--vocab"),
            ("val_data", "--val-data"),
        )
        if name not in files
    ]
    if missing:
        raise SettingsError(
            f"alignment JSON needs {', '.join(missing)} too.",
            hint="--train-data train.json --vocab vocab.json --val-data val.json",
        )
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json

    splits = ("train", "val", "test")
    windows = {split: files[f"{split}_data"] for split in splits if f"{split}_data" in files}
    return prepare_json(JsonFiles(windows, files["vocab"]))


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


def _refuse_log_settings(changes: list[str], *, simulated: bool) -> None:
    idle = [word for word in changes if word.startswith("data.")]
    if simulated or idle:
        raise SettingsError(
            f"{'--simulated' if simulated else idle[0]} has no effect on alignment JSON, whose "
            "windows are cut already.",
            hint="leave it out, or prepare a raw log instead.",
        )
