"""Commands about what lies on disk: runs."""

from pathlib import Path
from typing import Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, a_path, command
from casas_ray.cli.console import out, print_json
from casas_ray.files import shown


@command("table", "plot", "evaluate", "tune")
def runs(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Of runs and studies, or of one of them; else data/runs.",
            parser=a_path,
            autocompletion=completion.runs,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the runs on disk: study, arm, seed, state, best, age.

    What was worked on last stands last. `killed` is a run without an end that nobody works on.

    Example: casas-ray runs
    """
    from casas_ray.cli import disk_tables
    from casas_ray.records.on_disk import on_disk

    where = folder or paths.runs()
    # Nothing was trained yet: that is an answer, and no mistake.
    held = on_disk(where) if folder or where.is_dir() else []
    if as_json:
        about = [(each, {"study": each.study, "caveats": list(each.caveats)}) for each in held]
        print_json([told | run.as_dict() for each, told in about for run in each.runs])
    elif not held:
        out.print(f"No run lies in {shown(where)}; first: casas-ray tune STUDY, or casas-ray train")
    else:
        out.print(*disk_tables.runs(held), sep="\n")
