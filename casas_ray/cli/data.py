"""Commands about homes and their logs."""

from pathlib import Path
from typing import Annotated

import typer

from casas_ray import places
from casas_ray.cli.app import AsJson, Changes, Simulated, app, settings
from casas_ray.cli.console import out, print_json, say
from casas_ray.config import Recipe


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
    from casas_ray.corpus.fetch import link_log, log_for
    from casas_ray.corpus.prepare import prepare as prepare_set
    from casas_ray.report import text

    places.safe_name(home, what="home")
    recipe, _, _ = settings(Recipe(), changes, simulated=simulated, extra={"data.homes": home})
    if log is not None:
        link_log(home, log)
    prepared = prepare_set(recipe.data, log_for(recipe.data), watch=say)
    if as_json:
        print_json({"folder": str(prepared.folder), **prepared.manifest})
    else:
        out.print(
            text.summary(prepared.manifest), f"It lies in {places.shown(prepared.folder)}", sep="\n"
        )
