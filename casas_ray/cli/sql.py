"""The command `sql`: questions about a study's trainings."""

from typing import Annotated

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.fitting import Table
from casas_ray.cli.report import folder_named
from casas_ray.records.study_record import read_study


@command("table", "report", "runs")
def sql(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study's folder, its name for the newest, or its address.",
            autocompletion=completion.runs,
        ),
    ],
    question: Annotated[
        str,
        typer.Argument(metavar="SELECT", help="One SELECT over trials, rows and settings."),
    ],
    as_json: AsJson = False,
) -> None:
    """Ask SQL of a study: tables trials, rows and settings.

    It reads copies in memory, and nothing else: no file, no network. Names with a slash stand in
    double quotes.

    Example: casas-ray sql milan_ablation_mlm 'select arm, max("val/map") from trials group by 1'
    """
    record = read_study(folder_named(study))
    with waiting("reading the ledgers"):
        from casas_ray.report.as_tables import ask

        answer = ask(record, question)
    if as_json:
        print_json(answer.as_dicts())
        return
    shown = Table(title=", ".join(record.marks))
    for name in answer.columns:
        shown.add_column(name)
    for row in answer.as_dicts():
        shown.add_row(*("-" if value is None else str(value) for value in row.values()))
    out.print(shown)
