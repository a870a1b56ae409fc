"""Commands about what was run: table, evaluate."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from casas_ray import places
from casas_ray.cli.app import AsJson, app
from casas_ray.cli.console import out, print_json, say, tells_wandb
from casas_ray.config import Recipe, Tracking
from casas_ray.errors import AllFailed, DataError, SomeFailed
from casas_ray.report.table import StudyTable, study_table
from casas_ray.results import RunResult


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    as_json: AsJson = False,
) -> None:
    """Show a study's comparison again, from its ledgers.

    Example: casas-ray table data/runs/milan_ablation_mlm-quick-simulated-1a2b3c4d
    """
    show_study(folder, as_json=as_json)


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of ended runs.")],
    as_json: AsJson = False,
) -> None:
    """Judge the best checkpoint of runs on the test days, once; later calls repeat the answer.

    Several runs (seeds of one recipe) give means and standard deviations.

    Example: casas-ray evaluate data/runs/milan_baseline-milan-seed0-1a2b3c4d
    """
    from casas_ray.evals.judge import judge, recorded

    verdicts = []
    for run in runs:
        verdict = recorded(run)
        if verdict is None:
            _, prepared, vectors = _best_of(run)
            if "test" not in prepared.manifest["windows"]:
                raise DataError(
                    f"{places.shown(prepared.folder)} has no test windows.",
                    hint="train again with --test-data, then evaluate.",
                )
            verdict = judge(run, prepared, vectors)
            _tell_wandb(run, verdict)
        verdicts.append(verdict)
    _show_verdicts(runs, verdicts, "test days", as_json=as_json)


def _tell_wandb(run: Path, verdict: dict[str, Any]) -> None:
    """An eval run for the verdict, where W&B heard of the training; the verdict stands anyway."""
    from casas_ray.run.job import RUN_FILE, Job

    job = Job.recall(run) if (run / RUN_FILE).exists() else None
    if job is None or not tells_wandb(job.tracking):
        return
    from casas_ray.run.aside import send_verdict
    from casas_ray.run.connection import mode_of

    try:
        send_verdict(job, verdict, mode_of(job.tracking))
    except Exception as error:
        say(f"W&B has not heard of the test days: {error}")


@app.command()
def probe(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of ended runs.")],
    as_json: AsJson = False,
) -> None:
    """Fit linear probes for activities on training days and score them on validation days.

    For choosing between recipes; the test days stay untouched.

    Example: casas-ray probe data/runs/milan_tiny-al_smarthome-seed0-1a2b3c4d
    """
    from casas_ray.evals.judge import look

    verdicts = [look(run, *_best_of(run)[1:]) for run in runs]
    _show_verdicts(runs, verdicts, "validation days", as_json=as_json)


def _best_of(run: Path) -> tuple[dict[str, Any], Any, Any]:
    """What a run's best checkpoint says of itself, its set, and its captions' vectors."""
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.model.checkpoint import best, read_meta
    from casas_ray.model.vectors import caption_vectors

    meta = read_meta(best(run))
    prepared = PreparedSet(_set_of(meta["about"]["fingerprint"]))
    vectors = caption_vectors(prepared.captions(), Recipe.build(meta["recipe"]).text)
    return meta, prepared, vectors


def _show_verdicts(
    runs: Sequence[Path], verdicts: Sequence[dict[str, Any]], days: str, *, as_json: bool
) -> None:
    from casas_ray.report import text

    if as_json:
        print_json(verdicts[0] if len(verdicts) == 1 else verdicts)
        return
    several = f"{len(runs)} runs, {runs[0].name} first" if len(runs) > 1 else runs[0].name
    steps = ", ".join(str(verdict["step"]) for verdict in verdicts)
    title = text.heading(f"{several}, {days}, step {steps}", verdicts[0]["caveats"])
    out.print(text.verdicts(verdicts, title))


def show_study(folder: Path, *, as_json: bool) -> None:
    """Print a study's comparison, and keep it as results.json.

    Raises:
        DataError: the folder holds no study.
        SomeFailed, AllFailed: after printing, when trials did not finish.
    """
    from casas_ray.report import text

    about, found, results = _read_study(folder)
    kind = {name: about[name] for name in ("study", "question", "homes", "caveats", "quick")}
    (folder / "results.json").write_text(json.dumps(kind | found.as_dict(), indent=1))
    if as_json:
        print_json({"folder": str(folder), **kind, **found.as_dict()})
    else:
        name = f"{about['study']} on {', '.join(about['homes'])}"
        title = text.heading(name, about["caveats"], quick=about["quick"])
        out.print(about["question"], text.comparison(found, title), sep="\n")
        out.print(f"Runs, ledgers, checkpoints and results.json lie in {places.shown(folder)}")
    _fail_if_any([result.status for result in results.values()], folder)


def summarise(folder: Path, tracking: Tracking) -> None:
    """Send W&B a run for the whole study; whatever W&B does, the study stands.

    Raises:
        DataError: the folder holds no study.
    """
    about, found, results = _read_study(folder)
    from casas_ray.report.table import curves, flat_rows
    from casas_ray.run.aside import send_summary

    tags = [*about["homes"], about["study"], *about["caveats"]]
    try:
        send_summary(about["study"], folder, tracking, tags, flat_rows(found), curves(results))
    except Exception as error:
        say(f"W&B has no summary of the study: {error}")


def _read_study(
    folder: Path,
) -> tuple[dict[str, Any], StudyTable, dict[tuple[str, int], RunResult]]:
    try:
        about = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{places.shown(folder)} holds no study.", hint="see data/runs/") from None
    arms = list(dict.fromkeys(arm for arm, _, _ in about["trials"]))
    rows = sorted(about["trials"], key=lambda row: arms.index(row[0]))
    results = {(arm, seed): RunResult.read(folder / name) for arm, seed, name in rows}
    return about, study_table(results), results


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


def show_run(result: RunResult, caveats: Sequence[str], *, quick: bool, as_json: bool) -> None:
    """Print a run's metrics at its best step beside the untrained model's."""
    from casas_ray.report import text

    columns = {"best": result.best(), "untrained": result.untrained()}
    if as_json:
        print_json({"folder": str(result.folder), "status": result.status, **columns})
        return
    title = text.heading(f"{result.folder.name}, validation days", caveats, quick=quick)
    out.print(text.metrics(columns, title))
    out.print(f"Ledger and checkpoints lie in {places.shown(result.folder)}")


def _set_of(fingerprint: str) -> Path:
    from casas_ray.corpus.inventory import set_folder

    found = set_folder(fingerprint)
    if found is None:
        raise DataError(
            f"the alignment set {fingerprint[:12]} is not in {places.shown(places.aligned())}.",
            hint="prepare it again with the settings and the log of the run.",
        )
    return found
