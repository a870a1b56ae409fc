"""The command `table`, and what other commands show of runs and studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import AllFailed, SomeFailed
from casas_ray.files import shown
from casas_ray.records.ledger import finite
from casas_ray.records.study_record import StudyRecord, read_study, write_results
from casas_ray.report.table import study_table

if TYPE_CHECKING:
    from casas_ray.records.run_result import RunResult

AStudy = Annotated[
    Place,
    typer.Argument(
        metavar="STUDY",
        help="The folder of a study's runs, or its address in a storage.",
        parser=a_place,
        autocompletion=completion.runs,
    ),
]


@command("runs", "plot", "evaluate", "tune")
def table(folder: AStudy, as_json: AsJson = False) -> None:
    """Show a study's comparison again, from its ledgers.

    Example: casas-ray table data/runs/milan_ablation_mlm-quick-simulated-1a2b3c4d
    """
    show_study(read_study(folder.here()), as_json=as_json)


def show_study(record: StudyRecord, *, as_json: bool) -> None:
    """Print a study's comparison.

    Raises:
        SomeFailed, AllFailed: after printing, when trials did not finish.
    """
    from casas_ray.cli import result_tables, tables

    with waiting("reading the ledgers"):
        results = record.results()
    comparison = study_table(results, record.rule)
    if as_json:
        print_json({"folder": str(record.folder), **record.about(), **comparison.as_dict()})
    else:
        name = f"{record.study} on {', '.join(record.homes)}"
        title = tables.heading(name, record.caveats, quick=record.quick)
        out.print(record.question, result_tables.comparison(comparison, title), sep="\n")
        if comparison.effects:
            out.print(result_tables.crossed(comparison))
        where = shown(record.folder)
        out.print(f"Runs, ledgers, checkpoints and results.json lie in {where}")
    # Last: the comparison is shown whatever became of its trials.
    _fail_if_any([result.status for result in results.values()], record.folder)


def keep_results(record: StudyRecord) -> None:
    """Write a study's comparison into its folder, for scripts that read it later."""
    write_results(record, study_table(record.results(), record.rule).as_dict())


def _fail_if_any(statuses: Sequence[str], folder: Path) -> None:
    bad = [status for status in statuses if status not in ("finished", "pruned")]
    if not bad:
        return
    counts = ", ".join(f"{bad.count(status)} {status}" for status in sorted(set(bad)))
    kind = AllFailed if len(bad) == len(statuses) else SomeFailed
    told = f"each says why in the last line of its ledger, {shown(folder)}/*/ledger.jsonl"
    again = "the `casas-ray tune` that began the study, given again, trains what is missing"
    # These alone end with a reason; whatever else did not finish goes on.
    ended = {"failed", "diverged"}
    hints = [told] * bool(ended & set(bad)) + [again] * bool(set(bad) - ended)
    raise kind(
        f"{len(bad)} of {len(statuses)} trials did not finish: {counts}.", hint="; ".join(hints)
    )


def show_run(result: "RunResult", caveats: Sequence[str], *, quick: bool, as_json: bool) -> None:
    """Print a run's metrics at its best step beside the untrained model's."""
    from casas_ray.cli import result_tables, tables

    columns = {"best": result.best(), "untrained": result.untrained()}
    if as_json:
        marks = {"caveats": list(caveats), "quick": quick}
        plain = {name: finite(metrics) for name, metrics in columns.items()}
        print_json({"folder": str(result.folder), "status": result.status, **marks, **plain})
        return
    title = tables.heading(f"{result.folder.name}, validation days", caveats, quick=quick)
    out.print(result_tables.metrics(columns, title))
    out.print(f"Ledger and checkpoints lie in {shown(result.folder)}")
