"""The application, the options that commands share, and how words become settings."""

import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from casas_ray import __version__, paths
from casas_ray.catalog import find_machine, find_study
from casas_ray.cli import completion
from casas_ray.cli.console import out, pass_on
from casas_ray.cli.given import Files, given_data, settings_of_set
from casas_ray.config import Machine, Recipe, Setup, Tracking
from casas_ray.config.base import parse_overrides, split_overrides
from casas_ray.config.flat_json import FlatConfig, read_flat
from casas_ray.config.spelling import refuse_unknown
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown
from casas_ray.study import Study, usual_tracking

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

Command = TypeVar("Command", bound=Callable[..., None])
_DEBUG = "Anywhere on the line: show an error's traceback; exit codes stay."


@app.callback(
    invoke_without_command=True,
    epilog="A command's own page: casas-ray COMMAND --help. First: casas-ray tune "
    "milan_ablation_mlm --simulated --quick",
)
def door(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version, and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help=_DEBUG)] = False,
) -> None:
    """Align smart-home sensor events with text, as Ray Train and Ray Tune studies."""
    if show_version:
        # Said by the packages' records: importing them takes seconds.
        found = ", ".join(f"{name} {_version_of(name)}" for name in ("ray", "torch", "wandb"))
        out.print(f"casas-ray {__version__} (Python {platform.python_version()}, {found})")
        raise typer.Exit
    if context.invoked_subcommand is None:
        pass_on(context.get_help())
        raise typer.Exit(SettingsError.exit_code)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def command(
    *related: str, name: str | None = None, passes_on: bool = False
) -> Callable[[Command], Command]:
    """Makes a function a command whose help names the related ones; one that `passes_on` takes
    what stands behind its options for another command's."""
    others = ", ".join(f"casas-ray {each}" for each in related)
    unparsed = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    return app.command(
        name=name,
        epilog=f"Related: {others}. Also --debug: {_DEBUG[0].lower()}{_DEBUG[1:]}",
        context_settings=unparsed if passes_on else None,
    )


def configuration(path: Path) -> FlatConfig:
    """What a flat JSON configuration that was typed asks for.

    Raises:
        DataError: there is none, or it cannot be read as one JSON object.
        SettingsError: it has a key that nobody knows.
    """
    if not os.path.lexists(path):
        example = paths.example_configuration()
        lies = f"; an example is {shown(example)}" if example else ""
        raise DataError(
            f"no such file: {shown(path)}.",
            hint=f"`casas-ray config milan_baseline > mine.json` writes one{lies}",
        )
    return read_flat(path)


Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH=VALUE",
        help="Settings, e.g. optim.epochs=3; `casas-ray settings` lists them.",
        autocompletion=completion.changes,
    ),
]
StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study's name, or the path of its file.",
        autocompletion=completion.studies,
    ),
]
Simulated = Annotated[bool, typer.Option("--simulated", help="Use a simulated log of the home.")]
Quick = Annotated[bool, typer.Option("--quick", help="The tiny model and few epochs.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="So many seeds in all, instead of its own.")
]
Arms = Annotated[str, typer.Option("--arms", help="Only these arms: a,b. The base runs anyway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OnMachine = Annotated[
    str,
    typer.Option("--machine", help="A machine from cluster/.", autocompletion=completion.machines),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="A new folder, even when one is there.")]
NoWandb = Annotated[bool, typer.Option("--no-wandb", "--no_wandb", help="Tell W&B nothing.")]

# The names that users of the earlier scripts type; each is a tracking setting.
WandbProject = Annotated[
    str | None, typer.Option("--wandb-project", "--wandb_project", help="The W&B project.")
]
WandbName = Annotated[
    str | None, typer.Option("--wandb-name", "--wandb_name", help="The run's name on W&B.")
]
WandbTags = Annotated[
    list[str] | None,
    typer.Option("--wandb-tags", "--wandb_tags", help="Tags: with commas, or repeated."),
]
WandbNotes = Annotated[
    str | None, typer.Option("--wandb-notes", "--wandb_notes", help="What the run is for.")
]
WandbGroup = Annotated[
    str | None, typer.Option("--wandb-group", "--wandb_group", help="The W&B group.")
]


def tracking_words(tags: list[str] | None, **given: str | None) -> list[str]:
    """The W&B options as `tracking.NAME=value` words; those not given are left out."""
    every = {**given, "tags": ",".join(tags) if tags else None}
    # As JSON strings, or a run named 42 or null would be a number or nothing.
    return [
        f"tracking.{name}={json.dumps(value)}" for name, value in every.items() if value is not None
    ]


def study_settings(
    name: str,
    changes: list[str] | None,
    *,
    files: Files,
    quick: bool,
    simulated: bool,
    machine: str = "laptop",
    seeds: int | None = None,
    arms: str = "",
) -> tuple[Study, Machine, Tracking, "PreparedSet | None"]:
    """A study by name with the words' changes to its base (of these arms and so many seeds, where
    they are given), where and how it is to run, and the set that is given in place of homes.

    Raises:
        SettingsError: there is no such study or machine, or a change is of no setting.
        DataError: the set that is given cannot be used.
    """
    study = find_study(name)
    homes = study.base.data.homes
    given, left = given_data(files, changes or [], homes, simulated=simulated)
    recipe_changes, on, tracking = _resolved(
        _parsed(left), quick=quick, simulated=simulated, machine=machine
    )
    study = (study.quickened() if quick else study).with_base(recipe_changes)
    study = study.with_seeds(seeds) if seeds is not None else study
    study = study.with_arms([name.strip() for name in arms.split(",")]) if arms else study
    if given is None:
        return study, on, tracking, None
    # What can be refused at once is, before files of any size are read.
    study.on_set(study.base.data)
    prepared = given.prepared()
    return study.on_set(settings_of_set(prepared)), on, tracking, prepared


def settings(
    recipe: Recipe,
    changes: list[str] | None,
    *,
    quick: bool = False,
    simulated: bool,
    machine: str = "laptop",
    extra: dict[str, object] | None = None,
) -> tuple[Recipe, Machine, Tracking]:
    """A recipe with the words' changes (over `extra`'s), and where and how it is to run.

    Raises:
        SettingsError: there is no such machine, or a change is of no setting.
    """
    # The last one wins: what was typed, over what an option or a file stands for.
    words = {**(extra or {}), **_parsed(changes)}
    recipe_changes, on, tracking = _resolved(
        words, quick=quick, simulated=simulated, machine=machine
    )
    return recipe.replace(recipe_changes), on, tracking


def _parsed(changes: list[str] | None) -> dict[str, object]:
    parsed = parse_overrides(changes or [])
    refuse_unknown(changes or [], parsed)
    return parsed


def _resolved(
    words: dict[str, object], *, quick: bool, simulated: bool, machine: str
) -> tuple[dict[str, object], Machine, Tracking]:
    recipe, on, tracking = split_overrides(words)
    if simulated:
        recipe["data.simulated"] = True
    # As parts of the whole, so that an error names the whole path.
    every = {f"machine.{path}": value for path, value in on.items()}
    every |= {f"tracking.{path}": value for path, value in tracking.items()}
    usual = Setup(machine=find_machine(machine), tracking=usual_tracking(quick=quick))
    setup = usual.replace(every)
    return recipe, setup.machine, setup.tracking
