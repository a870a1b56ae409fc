"""Commands about homes, their logs and prepared sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, Changes, Simulated, command, settings
from casas_ray.cli.console import out, print_json, say, stepping, waiting
from casas_ray.cli.typed_path import a_path, path_option
from casas_ray.config import Recipe, SimulateConfig
from casas_ray.errors import DataError, SettingsError
from casas_ray.files import shown

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.corpus.bringing import Named


@command("homes", "prepare")
def fetch(
    home: Annotated[
        str,
        typer.Argument(
            metavar="HOME",
            help="A home with a published log, e.g. milan.",
            autocompletion=completion.published_homes,
        ),
    ],
    url: Annotated[str, typer.Option(help="Another address of its archive.")] = "",
) -> None:
    """Download a home's published log, check it and unpack it.

    A download that was cut off goes on.

    Homes of CASAS's release of 2025 go by their names there, such as hh101; another home's address
    stands in its data/homes/NAME.toml, or is given with --url.

    Example: casas-ray fetch milan
    """
    from casas_ray.corpus.download import RELEASE, RELEASE_TERMS, TERMS, released_home
    from casas_ray.corpus.download import fetch as fetch_log
    from casas_ray.corpus.homes import Home, home_or_error, load_home

    paths.safe_name(home, what="home")
    facts = load_home(home) or (Home(home=home) if url else released_home(home))
    for line in RELEASE_TERMS if facts and facts.archive == RELEASE else TERMS:
        say(line)
    facts = facts or home_or_error(home)
    with stepping() as steps:
        log = fetch_log(facts, url=url, progress=lambda have, all_: steps("bytes", have, all_))
    out.print(f"{shown(log)} is there; next: casas-ray prepare {home}")


@command("homes", "describe", "train", "settings")
def prepare(
    home: Annotated[
        str,
        typer.Argument(
            metavar="HOME",
            help="A home's name; several with commas.",
            autocompletion=completion.homes,
        ),
    ] = "",
    changes: Changes = None,
    log: Annotated[
        Path | None,
        path_option("--log", help="The home's raw log: events or intervals; - for standard input."),
    ] = None,
    activities: Annotated[
        Path | None,
        path_option("--activities", help="With --log: its activities, in a file of their own."),
    ] = None,
    columns: Annotated[
        str, typer.Option(help="With --log: what intervals have, e.g. start,end,sensor,-,room.")
    ] = "",
    activity_columns: Annotated[
        str, typer.Option(help="With --activities: e.g. start,end,activity.")
    ] = "",
    train_json: Annotated[
        Path | None,
        path_option("--from", help="A train.json with val.json and vocab.json beside it."),
    ] = None,
    captions: Annotated[
        str, typer.Option(help="With --from: the style, where several caption files lie there.")
    ] = "",
    simulated: Simulated = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and write the windows as alignment JSON.")
    ] = False,
) -> None:
    """Turn logs or alignment JSON into a set, and say what is in it.

    Example: casas-ray prepare al_smarthome --log data.txt data.windows.length=20
    """
    from casas_ray.cli import tables

    beside = [("--activities", activities is not None), ("--columns", bool(columns))]
    beside.append(("--activity-columns", bool(activity_columns)))
    if log is None and any(given for _, given in beside):
        name = next(name for name, given in beside if given)
        raise SettingsError(f"{name} goes with --log.", hint="name the log of the sensors too.")
    if train_json is not None:
        prepared = _from_json(train_json, captions, [home, *(changes or [])], log, simulated)
    else:
        from casas_ray.corpus.bringing import Named

        log = Path("/dev/stdin") if log == Path("-") else log
        named = Named(log, activities, columns, activity_columns) if log else None
        prepared = _from_logs(home, changes, named, simulated)
    if as_json:
        from casas_ray.corpus.exchange.shape_a import write_shape_a

        written = write_shape_a(prepared)
        folders = {"folder": str(prepared.folder), "json_folder": str(written)}
        print_json({**folders, **prepared.manifest})
    else:
        out.print(
            tables.summary(prepared.manifest), f"It lies in {shown(prepared.folder)}", sep="\n"
        )


def _from_logs(
    home: str, changes: list[str] | None, named: "Named | None", simulated: bool
) -> "PreparedSet":
    from casas_ray.corpus.bringing import brought
    from casas_ray.corpus.fetch import logs_for
    from casas_ray.corpus.prepare import prepare as prepare_set

    if not home or "=" in home:
        raise SettingsError(
            "prepare needs a home's name, or --from train.json.",
            hint="`casas-ray homes` lists the homes known.",
        )
    # A home's name becomes a folder's.
    names = [paths.safe_name(name, what="home") for name in home.split(",")]
    recipe, _, _ = settings(Recipe(), changes, simulated=simulated, extra={"data.homes": home})
    if named is None:
        return prepare_set(recipe.data, logs_for(recipe.data), watch=say)
    if len(names) > 1:
        raise SettingsError("--log is the log of one home; bring one home at a time with it.")
    if recipe.data.simulated:
        raise SettingsError("--log has no effect on a simulated home.", hint="leave one out.")
    with brought(home, named) as (path, notes):
        for note in notes:
            say(f"{home}: {note}")
        # What is read may be a copy of ours; the user knows it by the name that was typed.
        return prepare_set(
            recipe.data,
            {home: path},
            watch=lambda text: say(text.replace(shown(path), shown(named.log))),
        )


def _from_json(
    train: Path, captions: str, words: list[str], log: Path | None, simulated: bool
) -> "PreparedSet":
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json

    # An option that changes nothing is refused, so that nobody believes that it did.
    idle = [word for word in words if word]
    idle += [name for name, on in (("--log", log is not None), ("--simulated", simulated)) if on]
    if idle:
        raise SettingsError(
            f"{idle[0]} has no effect on alignment JSON, whose windows are cut already.",
            hint="leave it out.",
        )
    with waiting(f"reading {shown(train)}"):
        return prepare_json(JsonFiles.beside(train, style=captions))


@command("prepare", "homes")
def simulate(
    home: Annotated[
        str,
        typer.Argument(
            metavar="HOME",
            help="A home with a floor plan, e.g. milan.",
            autocompletion=completion.published_homes,
        ),
    ],
    days: Annotated[int, typer.Option(help="Days to simulate.")] = 60,
    seed: Annotated[int, typer.Option(help="Other seeds live other days.")] = 0,
    residents: Annotated[int, typer.Option(help="One, or two at the same time.")] = 1,
    beside: Annotated[
        Path | None, path_option("--beside", help="A real log whose statistics to show beside.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a simulated raw log, with the planted activities beside.

    Example: casas-ray simulate milan --days 60 --seed 0
    """
    from casas_ray.cli import tables
    from casas_ray.corpus.homes import home_or_error
    from casas_ray.corpus.simulate.simulator import TRUTH_NAME, simulated_log
    from casas_ray.corpus.simulate.statistics import statistics_of

    config = SimulateConfig.build({"days": days, "seed": seed, "residents": residents})
    facts = home_or_error(home)
    with waiting(f"simulating {days} days of {home}"):
        log = simulated_log(facts, config)
    columns = {f"SIMULATED {home}": statistics_of(log, facts)}
    if beside is not None:
        columns[beside.name] = statistics_of(beside, None)
    if as_json:
        print_json({"log": str(log), "statistics": columns})
        return
    out.print(tables.statistics(columns))
    out.print(f"SIMULATED: {days} days in {shown(log)}")
    out.print(f"the planted activities are in {shown(log.with_name(TRUTH_NAME))}")


@command("fetch", "prepare", "simulate")
def homes(as_json: AsJson = False) -> None:
    """Show the homes known, the logs at hand, and what is prepared.

    Example: casas-ray homes
    """
    from casas_ray.cli import tables
    from casas_ray.corpus.inventory import homes_at_hand

    known = homes_at_hand()
    if as_json:
        print_json({name: home.as_dict() for name, home in known.items()})
    else:
        out.print(tables.homes(known))


@command("prepare", "homes")
def describe(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="The folder of a prepared set.",
            parser=a_path,
            autocompletion=completion.sets,
        ),
    ],
    window: Annotated[int, typer.Option(help="Which training window to draw.")] = 0,
) -> None:
    """Show what is in a prepared set, and draw one of its windows.

    Example: casas-ray describe data/aligned/al_smarthome-1a2b3c4d5e6f --window 7
    """
    from casas_ray.cli import tables
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.corpus.inventory import read_window

    if not folder.exists():
        hint = paths.meant(folder, paths.aligned(), otherwise="`casas-ray homes` lists the sets.")
        raise DataError(f"there is no prepared set {shown(folder)}.", hint=hint)
    prepared = PreparedSet(folder)
    prepared.check()
    summary = tables.summary(prepared.manifest)
    out.print(summary, tables.window(read_window(prepared, window)), sep="\n")
