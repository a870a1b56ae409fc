"""Commands about what was trained: table, evaluate, probe."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli.app import AsJson, app
from casas_ray.cli.console import out, print_json, say
from casas_ray.config import Tracking
from casas_ray.errors import AllFailed, SomeFailed
from casas_ray.files import shown
from casas_ray.records.study_record import StudyRecord, read_study, write_results
from casas_ray.report.table import curves, flat_rows, study_table

if TYPE_CHECKING:
    from casas_ray.records.run_result import RunResult
    from casas_ray.records.verdict import Verdict

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of ended runs.")]


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    as_json: AsJson = False,
) -> None:
    """Show a study's comparison again, from its ledgers.

    Example: casas-ray table data/runs/milan_ablation_mlm-quick-simulated-1a2b3c4d
    """
    show_study(read_study(folder), as_json=as_json)


@app.command()
def evaluate(runs: Runs, as_json: AsJson = False) -> None:
    """Judge the best checkpoint of runs on the test days, once; later calls repeat the answer.

    Several runs (seeds of one recipe) give means and standard deviations.

    Example: casas-ray evaluate data/runs/milan_baseline-milan-seed0-1a2b3c4d
    """
    from casas_ray.records.verdict import recorded_verdict

    # Test days are looked at once; whatever was found then is the answer for good.
    verdicts = [recorded_verdict(run) or _evaluated(run) for run in runs]
    _show_verdicts(runs, verdicts, "test days", as_json=as_json)


def _evaluated(run: Path) -> "Verdict":
    from casas_ray.evals.judge import evaluate as evaluate_run
    from casas_ray.evals.trained_run import TrainedRun

    verdict = evaluate_run(TrainedRun.open(run))
    _tell_wandb(run, verdict)
    return verdict


def _tell_wandb(run: Path, verdict: "Verdict") -> None:
    """An eval run for the verdict, where W&B heard of the training; the verdict stands anyway."""
    from casas_ray.records.run_record import RUN_FILE, RunRecord
    from casas_ray.tracking.views import tells_wandb

    record = RunRecord.read(run) if (run / RUN_FILE).exists() else None
    if record is None or not tells_wandb(record.tracking):
        return
    from casas_ray.tracking.connection import mode_of
    from casas_ray.tracking.side_runs import send_verdict

    try:
        send_verdict(record, verdict, mode_of(record.tracking))
    except Exception as error:  # the verdict is on disk, and costs more than a view of it
        say(f"W&B has not heard of the test days: {error}")


@app.command()
def probe(runs: Runs, as_json: AsJson = False) -> None:
    """Fit linear probes for activities on training days and score them on validation days.

    For choosing between recipes; the test days stay untouched.

    Example: casas-ray probe data/runs/milan_tiny-al_smarthome-seed0-1a2b3c4d
    """
    from casas_ray.evals.judge import probe_validation
    from casas_ray.evals.trained_run import TrainedRun

    verdicts = [probe_validation(TrainedRun.open(run)) for run in runs]
    _show_verdicts(runs, verdicts, "validation days", as_json=as_json)


def _show_verdicts(
    runs: Sequence[Path], verdicts: Sequence["Verdict"], days: str, *, as_json: bool
) -> None:
    if as_json:
        plain = [verdict.as_dict() for verdict in verdicts]
        print_json(plain[0] if len(plain) == 1 else plain)
        return
    from casas_ray.cli import tables

    several = f"{len(runs)} runs, {runs[0].name} first" if len(runs) > 1 else runs[0].name
    steps = ", ".join(str(verdict.step) for verdict in verdicts)
    title = tables.heading(f"{several}, {days}, step {steps}", verdicts[0].caveats)
    out.print(tables.verdicts(verdicts, title))


def show_study(record: StudyRecord, *, as_json: bool) -> None:
    """Print a study's comparison.

    Raises:
        SomeFailed, AllFailed: after printing, when trials did not finish.
    """
    from casas_ray.cli import tables

    results = record.results()
    comparison = study_table(results)
    if as_json:
        print_json({"folder": str(record.folder), **record.about(), **comparison.as_dict()})
    else:
        name = f"{record.study} on {', '.join(record.homes)}"
        title = tables.heading(name, record.caveats, quick=record.quick)
        out.print(record.question, tables.comparison(comparison, title), sep="\n")
        where = shown(record.folder)
        out.print(f"Runs, ledgers, checkpoints and results.json lie in {where}")
    # Last: the comparison is shown whatever became of its trials.
    _fail_if_any([result.status for result in results.values()], record.folder)


def keep_results(record: StudyRecord) -> None:
    """Write a study's comparison into its folder, for scripts that read it later."""
    write_results(record, study_table(record.results()).as_dict())


def summarise(record: StudyRecord, tracking: Tracking) -> None:
    """Send W&B a run for the whole study; where it will not have it, say so and go on."""
    from casas_ray.tracking.side_runs import send_summary

    results = record.results()
    tags = [*record.homes, record.study, *record.caveats]
    try:
        send_summary(
            record.study,
            record.folder,
            tracking,
            tags,
            flat_rows(study_table(results)),
            curves(results),
        )
    except Exception as error:
        say(f"W&B has no summary of the study: {error}")


def _fail_if_any(statuses: Sequence[str], folder: Path) -> None:
    bad = [status for status in statuses if status != "finished"]
    if not bad:
        return
    counts = ", ".join(f"{bad.count(status)} {status}" for status in sorted(set(bad)))
    kind = AllFailed if len(bad) == len(statuses) else SomeFailed
    raise kind(
        f"{len(bad)} of {len(statuses)} trials did not finish: {counts}.",
        hint=f"each says why in the last line of its ledger, {shown(folder)}/*/ledger.jsonl",
    )


def show_run(result: "RunResult", caveats: Sequence[str], *, quick: bool, as_json: bool) -> None:
    """Print a run's metrics at its best step beside the untrained model's."""
    from casas_ray.cli import tables

    columns = {"best": result.best(), "untrained": result.untrained()}
    if as_json:
        print_json({"folder": str(result.folder), "status": result.status, **columns})
        return
    title = tables.heading(f"{result.folder.name}, validation days", caveats, quick=quick)
    out.print(tables.metrics(columns, title))
    out.print(f"Ledger and checkpoints lie in {shown(result.folder)}")
