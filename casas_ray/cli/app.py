"""The application, the options that commands share, and how words become settings."""

import json
from typing import Annotated

import typer

from casas_ray.catalog import find_machine, find_study
from casas_ray.config import Machine, Recipe, Setup, Tracking
from casas_ray.config.base import parse_overrides, split_overrides
from casas_ray.study import Study

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Align smart-home sensor events with text. Start with: casas-ray tune milan_ablation_mlm "
    "--simulated --quick",
)


Changes = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH=VALUE]...", help="e.g. optim.epochs=3")
]
Simulated = Annotated[bool, typer.Option("--simulated", help="Use a simulated log of the home.")]
Quick = Annotated[bool, typer.Option("--quick", help="The tiny model and few epochs.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="So many seeds in all, instead of its own.")
]
Arms = Annotated[str, typer.Option("--arms", help="Only these arms: a,b. The base runs anyway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OnMachine = Annotated[str, typer.Option("--machine", help="A machine from cluster/.")]
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
    quick: bool,
    simulated: bool,
    machine: str = "laptop",
    seeds: int | None = None,
    arms: str = "",
) -> tuple[Study, Machine, Tracking]:
    """A study by name with the words' changes to its base, and where and how it is to run; of these
    arms and so many seeds, where they are given.

    Raises:
        SettingsError: there is no such study or machine, or a change is of no setting.
    """
    study = find_study(name)
    study = study.quickened() if quick else study
    study = study.with_seeds(seeds) if seeds is not None else study
    study = study.with_arms([name.strip() for name in arms.split(",")]) if arms else study
    recipe_changes, on, tracking = _parsed(changes, simulated=simulated, machine=machine)
    return study.with_base(recipe_changes), on, tracking


def settings(
    recipe: Recipe,
    changes: list[str] | None,
    *,
    simulated: bool,
    machine: str = "laptop",
    extra: dict[str, object] | None = None,
) -> tuple[Recipe, Machine, Tracking]:
    """A recipe with the words' changes (over `extra`'s), and where and how it is to run.

    Raises:
        SettingsError: there is no such machine, or a change is of no setting.
    """
    # The last one wins: what was typed, over what an option or a file stands for.
    words = {**(extra or {}), **parse_overrides(changes or [])}
    recipe_changes, on, tracking = _resolved(words, simulated=simulated, machine=machine)
    return recipe.replace(recipe_changes), on, tracking


def _parsed(
    changes: list[str] | None, *, simulated: bool, machine: str
) -> tuple[dict[str, object], Machine, Tracking]:
    return _resolved(parse_overrides(changes or []), simulated=simulated, machine=machine)


def _resolved(
    words: dict[str, object], *, simulated: bool, machine: str
) -> tuple[dict[str, object], Machine, Tracking]:
    recipe, on, tracking = split_overrides(words)
    if simulated:
        recipe["data.simulated"] = True
    # As parts of the whole, so that an error names the whole path.
    every = {f"machine.{path}": value for path, value in on.items()}
    every |= {f"tracking.{path}": value for path, value in tracking.items()}
    setup = Setup(machine=find_machine(machine)).replace(every)
    return recipe, setup.machine, setup.tracking
