"""Commands about what was trained: table, evaluate, probe."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import judging, out, print_json, say, waiting
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import AllFailed, SomeFailed
from casas_ray.files import shown
from casas_ray.records.ledger import finite
from casas_ray.records.study_record import StudyRecord, read_study, write_results
from casas_ray.report.table import study_table

if TYPE_CHECKING:
    from casas_ray.evals.together import Groups
    from casas_ray.records.run_result import RunResult
    from casas_ray.records.verdict import Verdict

Watch = Callable[[str], None]
"""Hears what is at work."""

Runs = Annotated[
    list[Place],
    typer.Argument(
        metavar="RUN|STUDY",
        help="Folders of finished runs or of studies, or their addresses in a storage.",
        parser=a_place,
        autocompletion=completion.runs,
    ),
]
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


@command("probe", "table", "runs")
def evaluate(runs: Runs, as_json: AsJson = False) -> None:
    """Judge the best checkpoint of runs on the test days, once.

    Later calls repeat the answer. Seeds of one recipe give a mean and a standard deviation, other
    recipes a row each.

    Example: casas-ray evaluate data/runs/milan_baseline-milan-seed0-1a2b3c4d
    """
    from casas_ray.records.verdict import recorded_verdict

    # All of them are known to belong together before the first look: a look is final.
    folders = [run.here("best") for run in runs]
    groups = _together(folders, split="test")
    # Test days are looked at once; whatever was found then is the answer for good.
    _show_verdicts(
        groups,
        lambda run, watch: recorded_verdict(run) or _evaluated(run, watch),
        "test days",
        as_json=as_json,
    )
    from casas_ray.records.storage_mirror import keep_verdicts

    for run, folder in zip(runs, folders, strict=True):
        if run.is_address:
            keep_verdicts(run.text, folder)


def _together(runs: list[Path], *, split: str) -> "Groups":
    with waiting("opening the runs"):
        from casas_ray.evals.together import together  # seconds to import

        return together(runs, split=split)


def _evaluated(run: Path, watch: Watch) -> "Verdict":
    from casas_ray.evals.judge import evaluate as evaluate_run
    from casas_ray.evals.trained_run import TrainedRun
    from casas_ray.records.study_record import STUDY_FILE

    verdict = evaluate_run(TrainedRun.open(run), watch=watch)
    if (run.parent / STUDY_FILE).is_file():  # whose table says that no test day was looked at
        keep_results(read_study(run.parent))
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


@command("evaluate", "table", "runs")
def probe(runs: Runs, as_json: AsJson = False) -> None:
    """Score linear probes of activities on validation days.

    They are fitted on training days. For choosing between recipes; the test days stay untouched.

    Example: casas-ray probe data/runs/milan_tiny-al_smarthome-seed0-1a2b3c4d
    """
    groups = _together([run.here("best") for run in runs], split="val")
    from casas_ray.evals.judge import probe_validation
    from casas_ray.evals.trained_run import TrainedRun

    _show_verdicts(
        groups,
        lambda run, watch: probe_validation(TrainedRun.open(run), watch=watch),
        "validation days",
        as_json=as_json,
    )


def _show_verdicts(
    groups: "Groups", judge: Callable[[Path, Watch], "Verdict"], days: str, *, as_json: bool
) -> None:
    from casas_ray.cli import result_tables, tables
    from casas_ray.report.verdicts import ArmVerdict, caveats_of, marked
    from casas_ray.report.verdicts import as_json as plain

    found: dict[Path, Verdict] = {}
    folders = [run.folder for seeds in groups for run in seeds]
    with judging([folder.name for folder in folders]) as tell:
        for index, folder in enumerate(folders):
            found[folder] = judge(folder, functools.partial(tell, index))
    arms = [
        ArmVerdict(
            seeds[0].label,
            [str(run.folder) for run in seeds],
            [run.recipe.seed for run in seeds],
            [marked(found[run.folder], run.caveats) for run in seeds],
        )
        for seeds in groups
    ]
    if as_json:
        print_json(plain(arms, days))
        return
    count = sum(len(arm.runs) for arm in arms)
    first = groups[0][0].folder.name
    runs = f"{count} runs, {first} first" if count > 1 else first
    each = arms[0].seeds
    seeds = "1 seed" if len(each) == 1 else f"{len(each)} seeds"
    of_arms = f"{len(arms)} arms" if len(arms) > 1 else seeds
    steps = ", ".join(str(verdict.step) for arm in arms for verdict in arm.verdicts)
    title = tables.heading(f"{runs}, {days}, {of_arms}, step {steps}", caveats_of(arms))
    out.print(result_tables.verdicts(arms, title))


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
    bad = [status for status in statuses if status != "finished"]
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
