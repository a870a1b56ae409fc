"""Commands that judge what was learned, or what hand-made features tell: evaluate, probe."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import judging, out, print_json, say, waiting
from casas_ray.cli.results import keep_results
from casas_ray.cli.typed_path import Place, a_place
from casas_ray.errors import RefusedError, SettingsError
from casas_ray.files import shown
from casas_ray.records.study_record import read_study

if TYPE_CHECKING:
    from casas_ray.cli.judged_tables import Looks
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.evals.judge import Baselines, Look
    from casas_ray.evals.protocols import Protocol
    from casas_ray.evals.together import Groups
    from casas_ray.records.verdict import Verdict
    from casas_ray.report.verdicts import ArmVerdict

Watch = Callable[[str], None]
"""Hears what is at work."""

Split = Literal["val", "test"]

Judged = Annotated[
    list[Place],
    typer.Argument(
        metavar="RUN|STUDY|HOME",
        help="Folders of finished runs or studies, or their addresses in a storage; or one home, "
        "or prepared set, by name.",
        parser=a_place,
        autocompletion=completion.runs_and_homes,
    ),
]
HowDealt = Annotated[
    Literal["day", "random-days", "rolling", "random-windows", "leakage"],
    typer.Option(
        "--protocol",
        help="Of a home: its split by day, blocks of days in turn, random days, or windows at "
        "random, which leaks; `leakage` shows all of them side by side.",
    ),
]

FewLabels = Annotated[
    bool,
    typer.Option(
        "--few-labels",
        help="Also with 1, 5, 10 and 50 labels a class, and with few whole days labelled.",
    ),
]


@command("probe", "cluster", "table", "runs")
def evaluate(
    runs: Judged,
    split: Annotated[
        Split, typer.Option("--split", help="`test`, the look that is taken once; or `val`.")
    ] = "test",
    protocol: HowDealt = "day",
    few_labels: FewLabels = False,
    as_json: AsJson = False,
) -> None:
    """Judge the best checkpoint of runs on the test days, once.

    Later calls repeat the answer. Seeds of one recipe give a mean and a standard deviation, other
    recipes a row each. Beside them stand baselines that read as much, tuned by the same code; of a
    home they stand alone.

    Example: casas-ray evaluate data/runs/milan_baseline-milan-seed0-1a2b3c4d
    """
    _judge(runs, split, protocol, few=few_labels, as_json=as_json)


@command("evaluate", "cluster", "table", "runs")
def probe(
    runs: Judged,
    protocol: HowDealt = "day",
    few_labels: FewLabels = False,
    as_json: AsJson = False,
) -> None:
    """Score linear probes of activities on validation days.

    They are fitted on training days. For choosing between recipes; the test days stay untouched.
    The same as `evaluate --split val`.

    Example: casas-ray probe data/runs/milan_tiny-al_smarthome-seed0-1a2b3c4d
    """
    _judge(runs, "val", protocol, few=few_labels, as_json=as_json)


def _judge(
    named: list[Place], split: Split, protocol: HowDealt, *, few: bool, as_json: bool
) -> None:
    home = home_named(named)
    if few and protocol != "day":
        raise SettingsError(
            "--few-labels draws labels on training days, and wants --protocol day.",
            hint="leave --protocol out.",
        )
    if home:
        if protocol == "leakage":
            from casas_ray.cli.leakage import show_leakage

            show_leakage(home, set_of(home), split, as_json=as_json)
        else:
            _show_home(home, split, protocol, few=few, as_json=as_json)
        return
    if protocol != "day":
        raise SettingsError(
            f"--protocol {protocol} deals days anew, and the runs have trained on some of them.",
            hint="judge their home by it: `casas-ray evaluate HOME --protocol ...`.",
        )
    # All of them are known to belong together before the first look: a look is final.
    folders = [run.here("best") for run in named]
    groups = _together(folders, split=split)
    known: Baselines = {}
    if split == "val":
        _show_looks(
            groups, functools.partial(_probed, known=known, few=few), split, as_json=as_json
        )
        return
    # Test days are looked at once; whatever was found then is the answer for good.
    _show_looks(groups, functools.partial(_evaluated, known=known, few=few), split, as_json=as_json)
    from casas_ray.records.storage_mirror import keep_verdicts

    for run, folder in zip(named, folders, strict=True):
        if run.is_address:
            keep_verdicts(run.text, folder)


def home_named(named: list[Place]) -> str:
    """The home or set that was typed in place of runs, or nothing."""
    name = named[0].text
    if len(named) > 1 or "/" in name or Path(name).exists():
        return ""
    from casas_ray.corpus.homes import known_homes, logged_homes
    from casas_ray.paths import may_be_a_set

    return name if name in {*known_homes(), *logged_homes()} or may_be_a_set(name) else ""


def set_of(home: str) -> "PreparedSet":
    """The prepared set of this name, or else a home's with the settings that nobody changed.

    Raises:
        DataError: there is none, and no log to make it of.
    """
    from casas_ray.config import DataConfig
    from casas_ray.corpus.named_sets import find_set, set_for, set_named

    if set_named([home]):
        return find_set(home)
    return set_for(DataConfig.build({"homes": [home]}), watch=say)


def _together(runs: list[Path], *, split: str) -> "Groups":
    with waiting("opening the runs"):
        from casas_ray.evals.together import together  # seconds to import

        return together(runs, split=split)


def _probed(run: Path, watch: Watch, *, known: "Baselines", few: bool) -> "Look":
    from casas_ray.evals.judge import probe_validation
    from casas_ray.evals.trained_run import TrainedRun

    return probe_validation(TrainedRun.open(run), watch=watch, known=known, few=few)


def _evaluated(run: Path, watch: Watch, *, known: "Baselines", few: bool) -> "Look":
    from casas_ray.evals.judge import FEW, recorded_look
    from casas_ray.evals.judge import evaluate as evaluate_run
    from casas_ray.evals.trained_run import TrainedRun
    from casas_ray.records.study_record import STUDY_FILE

    before = recorded_look(run)
    if before is not None:
        if few and (before.evaluation is None or FEW not in before.evaluation.extra):
            raise RefusedError(
                f"{shown(run)}: its test days were looked at without --few-labels.",
                hint="a look is final; `casas-ray probe RUN --few-labels` reads validation days.",
            )
        return before
    look = evaluate_run(TrainedRun.open(run), watch=watch, known=known, few=few)
    if (run.parent / STUDY_FILE).is_file():  # whose table says that no test day was looked at
        keep_results(read_study(run.parent))
    _tell_wandb(run, look.verdict)
    return look


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


def days_of(split: Split) -> str:
    return "test days" if split == "test" else "validation days"


def _show_looks(
    groups: "Groups", judge: Callable[[Path, Watch], "Look"], split: Split, *, as_json: bool
) -> None:
    from casas_ray.cli import judged_tables, result_tables, tables
    from casas_ray.report.verdicts import ArmVerdict, caveats_of, marked
    from casas_ray.report.verdicts import as_json as plain

    found: dict[Path, Look] = {}
    folders = [run.folder for seeds in groups for run in seeds]
    with judging([folder.name for folder in folders]) as tell:
        for index, folder in enumerate(folders):
            found[folder] = judge(folder, functools.partial(tell, index))
    arms = [
        ArmVerdict(
            seeds[0].label,
            [str(run.folder) for run in seeds],
            [run.recipe.seed for run in seeds],
            [marked(found[run.folder].verdict, run.caveats) for run in seeds],
        )
        for seeds in groups
    ]
    looks = {
        arm.arm: [each for run in seeds if (each := found[run.folder].evaluation)]
        for arm, seeds in zip(arms, groups, strict=True)
    }
    if as_json:
        told = {str(path): look.evaluation for path, look in found.items()}
        evaluations = {path: each.as_dict() for path, each in told.items() if each}
        print_json({**plain(arms, days_of(split)), "evaluations": evaluations})
        return
    title = tables.heading(_title(groups, arms, days_of(split)), caveats_of(arms))
    if any(verdict.columns for arm in arms for verdict in arm.verdicts):
        out.print(result_tables.verdicts(arms, title))
    if all(looks.values()):
        out.print(judged_tables.by_level(looks, f"Activities told from vectors, {days_of(split)}"))
        _show_few(looks, days_of(split))


def _title(groups: "Groups", arms: "list[ArmVerdict]", days: str) -> str:
    count = sum(len(arm.runs) for arm in arms)
    first = groups[0][0].folder.name
    runs = f"{count} runs, {first} first" if count > 1 else first
    each = arms[0].seeds
    seeds = "1 seed" if len(each) == 1 else f"{len(each)} seeds"
    of_arms = f"{len(arms)} arms" if len(arms) > 1 else seeds
    steps = ", ".join(str(verdict.step) for arm in arms for verdict in arm.verdicts)
    return f"{runs}, {days}, {of_arms}, step {steps}"


def _show_few(looks: "Looks", days: str) -> None:
    from casas_ray.cli.few_tables import few_labels
    from casas_ray.evals.judge import FEW

    if all(FEW in each.extra for seeds in looks.values() for each in seeds):
        out.print(few_labels(looks, f"With few labels, {days}"))


def _show_home(home: str, split: Split, protocol: "Protocol", *, few: bool, as_json: bool) -> None:
    from casas_ray.cli import judged_tables, tables
    from casas_ray.evals.judge import evaluate_set

    prepared = set_of(home)
    with judging([home]) as tell:
        found = evaluate_set(
            prepared, split=split, protocol=protocol, watch=functools.partial(tell, 0), few=few
        )
    if as_json:
        about = {"set": shown(prepared.folder), "fingerprint": prepared.fingerprint}
        print_json({**about, "days": days_of(split), **found.as_dict()})
        return
    days = days_of(split) if protocol == "day" else f"protocol {protocol}, up to {days_of(split)}"
    title = tables.heading(f"{home}, {days}, hand-made features", found.extra["caveats"])
    out.print(judged_tables.by_level({"": [found]}, title))
    _show_few({"": [found]}, days)
