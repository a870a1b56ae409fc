"""Commands about homes, their logs and prepared sets."""

from pathlib import Path
from typing import Annotated

import typer

from casas_ray import places
from casas_ray.cli.app import AsJson, Changes, Simulated, app, settings
from casas_ray.cli.console import out, print_json, say
from casas_ray.config import Recipe, SimulateConfig


@app.command()
def prepare(
    home: Annotated[str, typer.Argument(help="A home's name, e.g. milan.")],
    changes: Changes = None,
    log: Annotated[Path | None, typer.Option(help="The home's raw CASAS log.")] = None,
    simulated: Simulated = False,
    as_json: AsJson = False,
) -> None:
    """Turn a home's raw log into an alignment set, and say what is in it.

    Example: casas-ray prepare al_smarthome --log data.txt data.windows.length=20
    """
    from casas_ray.corpus.fetch import link_log, logs_for
    from casas_ray.corpus.prepare import prepare as prepare_set
    from casas_ray.report import text

    places.safe_name(home, what="home")
    recipe, _, _ = settings(Recipe(), changes, simulated=simulated, extra={"data.homes": home})
    if log is not None:
        link_log(home, log)
    prepared = prepare_set(recipe.data, logs_for(recipe.data), watch=say)
    if as_json:
        print_json({"folder": str(prepared.folder), **prepared.manifest})
    else:
        out.print(
            text.summary(prepared.manifest), f"It lies in {places.shown(prepared.folder)}", sep="\n"
        )


@app.command()
def simulate(
    home: Annotated[str, typer.Argument(help="A home with a simulator, e.g. milan.")],
    days: Annotated[int, typer.Option(help="Days to simulate.")] = 60,
    seed: Annotated[int, typer.Option(help="Other seeds live other days.")] = 0,
) -> None:
    """Write a simulated raw log of a home, with the planted activities beside it.

    Example: casas-ray simulate milan --days 60 --seed 0
    """
    from casas_ray.corpus.homes import home_or_error
    from casas_ray.corpus.simulate import TRUTH_NAME, simulated_log

    config = SimulateConfig.build({"days": days, "seed": seed})
    log = simulated_log(home_or_error(home), config)
    with log.open("rb") as stream:
        lines = sum(1 for _ in stream)
    out.print(f"SIMULATED: {lines:,} lines of {days} days in {places.shown(log)}")
    out.print(f"the planted activities are in {places.shown(log.with_name(TRUTH_NAME))}")


@app.command()
def homes(as_json: AsJson = False) -> None:
    """Show the homes known, which logs are at hand, and what is prepared.

    Example: casas-ray homes
    """
    from casas_ray.corpus.fetch import log_at_hand
    from casas_ray.corpus.homes import home_or_error, known_homes
    from casas_ray.corpus.inventory import logged_homes, prepared_sets
    from casas_ray.report import text

    sets = prepared_sets()
    rows = {}
    for name in sorted({*known_homes(), *logged_homes()}):
        facts = home_or_error(name) if name in known_homes() else None
        log = log_at_hand(name)
        rows[name] = {
            "residents": facts.residents if facts else "",
            "sensors": len(facts.sensors) if facts else None,
            "log": places.shown(log) if log else None,
            "sets": [places.shown(one.folder) for one in sets if name in one.manifest["homes"]],
        }
    if as_json:
        print_json(rows)
    else:
        out.print(text.homes(rows))


@app.command()
def describe(
    folder: Annotated[Path, typer.Argument(metavar="SET", help="The folder of a prepared set.")],
    window: Annotated[int, typer.Option(help="Which training window to draw.")] = 0,
) -> None:
    """Show again what is in a prepared set, and draw one of its windows with its captions.

    Example: casas-ray describe data/aligned/al_smarthome-1a2b3c4d5e6f --window 7
    """
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.corpus.inventory import read_window
    from casas_ray.report import text

    prepared = PreparedSet(folder)
    summary = text.summary(prepared.manifest)
    out.print(summary, text.window(read_window(prepared, window)), sep="\n")
