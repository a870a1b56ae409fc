"""Every command. The only file that prints, exits or catches CasasError.

Heavy imports stand inside the commands, so that --help and plan answer at once.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from casas_ray import places
from casas_ray.catalog import find_base, find_machine, find_study
from casas_ray.config import Machine, Recipe, Tracking, parse_overrides, split_overrides
from casas_ray.errors import AllFailed, CasasError, DataError, SettingsError, SomeFailed
from casas_ray.study import Study, quickened

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Align smart-home sensor events with text. Start with: casas-ray tune milan_ablation_mlm "
    "--simulated --quick",
)
_LOG_WIDTH = 140
"""Columns of a table that goes to a file or a job's log."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
err = Console(highlight=False, soft_wrap=not sys.stderr.isatty(), stderr=True)

_INTERRUPTED = 130

Changes = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH=VALUE]...", help="e.g. optim.epochs=3")
]
Simulated = Annotated[bool, typer.Option("--simulated", help="Use a simulated log of the home.")]
Quick = Annotated[bool, typer.Option("--quick", help="The tiny model and few epochs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OnMachine = Annotated[str, typer.Option("--machine", help="A machine from cluster/.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="A new folder, even when one is there.")]
NoWandb = Annotated[bool, typer.Option("--no-wandb", "--no_wandb", help="Tell W&B nothing.")]


def main() -> None:
    """Run a command and exit with its code; --debug anywhere before `--` shows tracebacks."""
    words = sys.argv[1:]
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own
    if debug:
        words.remove("--debug")
    logging.basicConfig(level=logging.WARNING, format="casas-ray: %(message)s")
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_run(words, debug=debug))


def _run(words: Sequence[str], *, debug: bool) -> int:
    try:
        app(list(words))
    except CasasError as error:
        if debug:
            raise
        err.print(f"casas-ray: {error.problem}", markup=False)
        if error.hint:
            err.print(f"  hint: {error.hint}", markup=False)
        return error.exit_code
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
        if code == _INTERRUPTED:
            err.print("casas-ray: interrupted; what was done stands, and the same command goes on.")
        return code
    return 0


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


@app.command()
def plan(
    study: Annotated[str, typer.Argument(help="A study's name, or the path of its file.")],
    changes: Changes = None,
    quick: Quick = False,
    simulated: Simulated = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's arms, what each changes, seeds and trials. Nothing is run.

    Example: casas-ray plan milan_ablation_mlm
    """
    from casas_ray.report import text
    from casas_ray.study import describe_arm

    found, _, _ = _study(study, changes, quick=quick, simulated=simulated)
    if as_json:
        arms = {arm.name: describe_arm(found, arm) for arm in found.arms}
        trials = [[trial.arm, trial.recipe.seed] for trial in found.trials()]
        _print_json({"study": found.name, "arms": {"base": {}} | arms, "trials": trials})
    else:
        out.print(found.question, text.plan(found), sep="\n")


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
    recipe, _, _ = _settings(Recipe(), changes, simulated=simulated, extra={"data.homes": home})
    if log is not None:
        link_log(home, log)
    prepared = prepare_set(recipe.data, log_for(recipe.data), watch=_say)
    if as_json:
        _print_json({"folder": str(prepared.folder), **prepared.manifest})
    else:
        out.print(
            text.summary(prepared.manifest), f"It lies in {places.shown(prepared.folder)}", sep="\n"
        )


@app.command()
def tune(
    study: Annotated[str, typer.Argument(help="A study's name, or the path of its file.")],
    changes: Changes = None,
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    fresh: Fresh = False,
    no_wandb: NoWandb = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm and seed of a study and compare them; the same command goes on after a stop.

    Example: casas-ray tune milan_ablation_mlm --simulated --quick
    """
    found, on, tracking = _study(study, changes, quick=quick, simulated=simulated, machine=machine)
    from casas_ray.run import launch

    ready = _gather_all(found, launch)
    for trial, data in zip(found.trials(), ready, strict=True):
        launch.check(trial.recipe, on, data.prepared)
    run = launch.lay_out(found, tracking, ready, fresh=fresh)
    waiting = run.open_jobs()
    if len(waiting) < len(run.jobs):
        done = len(run.jobs) - len(waiting)
        _say(f"{done} of {len(run.jobs)} trials ended before; they stand (--fresh runs all again).")
    jobs = [run.jobs[place] for place in waiting]
    with _listeners(jobs, found.name, no_wandb=no_wandb) as listeners:
        launch.run_study(run, on, ready, listeners)
    _show_study(run.folder, as_json=as_json)


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    as_json: AsJson = False,
) -> None:
    """Show a study's comparison again, from its ledgers.

    Example: casas-ray table data/runs/milan_ablation_mlm-quick-simulated-1a2b3c4d
    """
    _show_study(folder, as_json=as_json)


@app.command()
def train(
    base: Annotated[str, typer.Argument(help="A starting point, e.g. milan_baseline.")] = "",
    changes: Changes = None,
    train_data: Annotated[
        Path | None, typer.Option("--train-data", "--train_data", help="Alignment JSON.")
    ] = None,
    vocab: Annotated[Path | None, typer.Option("--vocab", help="Its vocabulary.")] = None,
    val_data: Annotated[
        Path | None, typer.Option("--val-data", "--val_data", help="Validation JSON.")
    ] = None,
    test_data: Annotated[
        Path | None, typer.Option("--test-data", "--test_data", help="Test JSON, if any.")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "--output_dir", help="The run's folder.")
    ] = None,
    name: Annotated[str, typer.Option(help="The run's name.")] = "",
    quick: Quick = False,
    simulated: Simulated = False,
    machine: OnMachine = "laptop",
    no_wandb: NoWandb = False,
    as_json: AsJson = False,
) -> None:
    """Train one recipe; the same command goes on where it was stopped.

    Example: casas-ray train milan_baseline data.homes=al_smarthome --machine two-workers
    """
    if "=" in base:
        base, changes = "", [base, *(changes or [])]
    recipe = find_base(base or "milan_baseline")
    given = _from_json(train_data, vocab, val_data, test_data)
    extra: dict[str, object] = {"data.homes": given.manifest["home"]} if given else {}
    recipe, on, tracking = _settings(
        quickened(recipe) if quick else recipe,
        changes,
        simulated=simulated,
        machine=machine,
        extra=extra,
    )
    folder = _run_folder(recipe, name, output_dir, quick=quick)
    from casas_ray.run import launch
    from casas_ray.run.job import Job

    with _steps() as steps:
        ready = launch.gather(recipe, _say, steps, given)
    launch.check(recipe, on, ready.prepared)
    job = Job(folder.name, folder, recipe, tracking, simulated=recipe.data.simulated, quick=quick)
    with _listeners([job], folder.name, no_wandb=no_wandb) as listeners:
        result = launch.run_training(job, on, ready, listeners)
    _show_run(result, job.simulated, quick=quick, as_json=as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    as_json: AsJson = False,
) -> None:
    """Judge a run's best checkpoint on the test days, once; later calls repeat the answer.

    Example: casas-ray evaluate data/runs/milan_baseline-milan-seed0-1a2b3c4d
    """
    from casas_ray.evals.judge import judge, recorded
    from casas_ray.report import text

    verdict = recorded(run)
    if verdict is None:
        from casas_ray.corpus.alignment import PreparedSet
        from casas_ray.model.checkpoint import best, read_meta
        from casas_ray.model.text import caption_vectors

        meta = read_meta(best(run))
        prepared = PreparedSet(_set_of(meta["about"]["fingerprint"]))
        if "test" not in prepared.manifest["windows"]:
            raise DataError(
                f"{places.shown(prepared.folder)} has no test windows.",
                hint="train again with --test-data, then evaluate.",
            )
        vectors = caption_vectors(prepared.captions(), Recipe.build(meta["recipe"]).text)
        verdict = judge(run, prepared, vectors)
    if as_json:
        _print_json(verdict)
    else:
        title = text.heading(
            f"{run.name}, test days, step {verdict['step']}",
            simulated=verdict["simulated"],
            quick=False,
        )
        columns = {"trained": verdict["trained"], "untrained": verdict["untrained"]}
        out.print(text.metrics(columns, title))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def submit(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="A casas-ray command.")
    ],
    machine: OnMachine = "local-head",
    dashboard: Annotated[str, typer.Option(help="The cluster's dashboard address.")] = "",
) -> None:
    """Run a command on a Ray cluster, follow its log and exit as it does; only tracked files
    travel.

    Example: casas-ray submit --machine local-head -- tune milan_ablation_mlm --simulated --quick
    """
    on = find_machine(machine)
    if dashboard:
        on = on.replace({"dashboard": dashboard})
    words = command[1:] if command[0] == "casas-ray" else command
    from casas_ray.run.environment import prepare_environment

    prepare_environment()
    from casas_ray.run.submit import submit as send

    raise typer.Exit(send(words, on, lambda text: print(text, flush=True)))


def _study(
    name: str,
    changes: list[str] | None,
    *,
    quick: bool,
    simulated: bool,
    machine: str = "laptop",
) -> tuple[Study, Machine, Tracking]:
    study = find_study(name)
    study = study.quickened() if quick else study
    recipe_changes, on, tracking = _parsed(changes, simulated=simulated, machine=machine)
    return study.with_base(recipe_changes), on, tracking


def _settings(
    recipe: Recipe,
    changes: list[str] | None,
    *,
    simulated: bool,
    machine: str = "laptop",
    extra: dict[str, object] | None = None,
) -> tuple[Recipe, Machine, Tracking]:
    recipe_changes, on, tracking = _parsed(changes, simulated=simulated, machine=machine)
    return recipe.replace({**(extra or {}), **recipe_changes}), on, tracking


def _parsed(
    changes: list[str] | None, *, simulated: bool, machine: str
) -> tuple[dict[str, object], Machine, Tracking]:
    recipe, on, tracking = split_overrides(parse_overrides(changes or []))
    if simulated:
        recipe["data.simulated"] = True
    return recipe, find_machine(machine).replace(on), Tracking().replace(tracking)


def _gather_all(
    study: Study, launch: Any
) -> list[Any]:  # Any: the module run.launch, imported late
    made: dict[str, Any] = {}
    with _steps() as steps:
        for trial in study.trials():
            key = trial.recipe.data.digest() + trial.recipe.text.digest()
            if key not in made:
                made[key] = launch.gather(trial.recipe, _say, steps)
    recipes = [trial.recipe for trial in study.trials()]
    return [made[recipe.data.digest() + recipe.text.digest()] for recipe in recipes]


def _from_json(
    train_data: Path | None, vocab: Path | None, val_data: Path | None, test_data: Path | None
) -> Any:  # PreparedSet or None; its module is imported late
    given = {"--train-data": train_data, "--vocab": vocab, "--val-data": val_data}
    missing = [flag for flag, path in given.items() if path is None]
    if len(missing) == len(given) and test_data is None:
        return None
    if train_data is None or vocab is None or val_data is None:
        raise SettingsError(
            f"alignment JSON needs {', '.join(missing)} too.",
            hint="--train-data train.json --vocab vocab.json --val-data val.json",
        )
    from casas_ray.corpus.exchange import prepare_json

    files = {"train": train_data, "val": val_data} | ({"test": test_data} if test_data else {})
    return prepare_json(files, vocab)


def _run_folder(recipe: Recipe, name: str, output_dir: Path | None, *, quick: bool) -> Path:
    if output_dir is not None:
        return output_dir.absolute()
    marks = [mark for mark, on in (("quick", quick), ("simulated", recipe.data.simulated)) if on]
    parts = [recipe.name, recipe.data.home, *marks, f"seed{recipe.seed}", recipe.digest()[:8]]
    return places.runs() / places.safe_name(name or "-".join(parts), what="run")


def _set_of(fingerprint: str) -> Path:
    found = list(places.aligned().glob(f"*-{fingerprint[:12]}"))
    if not found:
        raise DataError(
            f"the alignment set {fingerprint[:12]} is not in {places.shown(places.aligned())}.",
            hint="prepare it again with the settings and the log of the run.",
        )
    return found[0]


def _show_study(folder: Path, *, as_json: bool) -> None:
    from casas_ray.report import text
    from casas_ray.report.table import study_table
    from casas_ray.results import RunResult

    try:
        about = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{places.shown(folder)} holds no study.", hint="see data/runs/") from None
    arms = list(dict.fromkeys(arm for arm, _, _ in about["trials"]))
    rows = sorted(about["trials"], key=lambda row: arms.index(row[0]))
    results = {(arm, seed): RunResult.read(folder / name) for arm, seed, name in rows}
    found = study_table(results)
    kind = {name: about[name] for name in ("study", "question", "homes", "simulated", "quick")}
    (folder / "results.json").write_text(json.dumps(kind | found.as_dict(), indent=1))
    if as_json:
        _print_json({"folder": str(folder), **kind, **found.as_dict()})
    else:
        name = f"{about['study']} on {', '.join(about['homes'])}"
        title = text.heading(name, simulated=about["simulated"], quick=about["quick"])
        out.print(about["question"], text.comparison(found, title), sep="\n")
        out.print(f"Runs, ledgers, checkpoints and results.json lie in {places.shown(folder)}")
    _fail_if_any([result.status for result in results.values()], folder)


def _fail_if_any(statuses: Sequence[str], folder: Path) -> None:
    bad = [status for status in statuses if status != "finished"]
    if not bad:
        return
    counts = ", ".join(f"{bad.count(status)} {status}" for status in sorted(set(bad)))
    kind = AllFailed if len(bad) == len(statuses) else SomeFailed
    raise kind(
        f"{len(bad)} of {len(statuses)} trials did not finish: {counts}.",
        hint=f"each says why in the last line of its ledger, {places.shown(folder)}/*/ledger.jsonl",
    )


def _show_run(result: Any, simulated: bool, *, quick: bool, as_json: bool) -> None:  # RunResult
    from casas_ray.report import text

    columns = {"best": result.best(), "untrained": result.untrained()}
    if as_json:
        _print_json({"folder": str(result.folder), "status": result.status, **columns})
        return
    title = text.heading(f"{result.folder.name}, validation days", simulated=simulated, quick=quick)
    out.print(text.metrics(columns, title))
    out.print(f"Ledger and checkpoints lie in {places.shown(result.folder)}")


@contextmanager
def _steps() -> Iterator[Any]:
    """A bar for preparations that take long; a callable (what, done, total)."""
    from rich.progress import Progress

    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
                if not err.is_terminal:
                    _say(f"{what}: {total:,} to compute, once")
            bar.update(tasks[what], completed=done)

        yield advance


@contextmanager
def _listeners(jobs: Sequence[Any], name: str, *, no_wandb: bool) -> Iterator[list[Any]]:
    """Who hears of the jobs' ledger rows: the progress board, and W&B unless it is turned off."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from casas_ray.report.board import Board

    columns = (
        TextColumn(name),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        board = Board(
            [job.name.rpartition("/")[2] for job in jobs],
            _say,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
        listeners: list[Any] = [board]
        if jobs and not no_wandb and jobs[0].tracking.mode != "disabled":
            os.environ.setdefault("WANDB_SILENT", "true")
            from casas_ray.run.tracking import WandbMirror

            listeners.append(WandbMirror(jobs))
        yield listeners


def _say(text: str) -> None:
    err.print(text, markup=False)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))
