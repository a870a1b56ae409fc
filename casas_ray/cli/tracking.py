"""Commands about W&B and this machine: sync, audit, doctor, config."""

import importlib.util
import shlex
from pathlib import Path
from typing import Annotated

import typer

from casas_ray.catalog import find_base
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, Changes, OnMachine, command, configuration, settings
from casas_ray.cli.console import out, print_json, say, waiting
from casas_ray.cli.typed_path import RunOrStudy
from casas_ray.config import Recipe
from casas_ray.config.flat_json import written
from casas_ray.errors import SetupError
from casas_ray.files import shown
from casas_ray.records.run_record import RunRecord, records_in


@command("audit", "runs", "doctor")
def sync(
    run: RunOrStudy,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Make TensorBoard files instead.")
    ] = False,
) -> None:
    """Send W&B what it lacks, or make TensorBoard files anew.

    Of a run, or of each run of a study and of its comparison.

    Example: casas-ray sync data/runs/milan_ablation_mlm-milan-1a2b3c4d
    """
    from casas_ray.records.lock import locked
    from casas_ray.records.study_record import STUDY_FILE, read_study

    folder = run.here("best")  # a model may be asked for
    records, failed = records_in(folder), []
    for record in records:
        # Two at once would both write the run's mirrors; whoever trains follows it, and holds the
        # lock: a run's own, or that of its whole study.
        place = record.folder.parent if record.group else record.folder
        with locked(place), waiting(f"sending {record.name}"):
            done = _made_anew(record, failed, tensorboard=tensorboard)
        out.print(f"{record.name}: {done}")
    if tensorboard:
        out.print(_how_to_open(folder))
    elif (folder / STUDY_FILE).is_file():
        from casas_ray.run.conclude import summarise

        with waiting("sending the comparison"):
            summarise(read_study(folder), records[0].tracking.replace({"mode": "auto"}), say)
    if failed:
        raise SetupError(
            f"{len(failed)} of {len(records)} runs were not sent: {failed[0]} first.",
            hint="their ledgers are whole; the same command sends them later.",
        )


def _how_to_open(folder: Path) -> str:
    """One folder shows all runs of a study, named by arm and seed."""
    has_it = importlib.util.find_spec("tensorboard") is not None
    first = "" if has_it else "pip install tensorboard, then: "
    place = shlex.quote(shown(folder))
    return f"Open them with: {first}tensorboard --logdir {place}  (at http://localhost:6006)"


def _made_anew(record: RunRecord, failed: list[str], *, tensorboard: bool) -> str:
    try:
        return _sent(record, tensorboard=tensorboard)
    except ModuleNotFoundError:
        raise  # no run's fault, and told by whoever runs commands
    # Anything at all: wandb lets errors of several libraries out, and one run's fault must not
    # keep the others here.
    except Exception as error:
        failed.append(record.name)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"not sent: {reason}"


def _sent(record: RunRecord, *, tensorboard: bool) -> str:
    if tensorboard:
        from casas_ray.tracking.tensorboard import rebuild

        rebuild(record)
        return "made anew"
    from casas_ray.records.verdict import recorded_verdict
    from casas_ray.tracking.side_runs import send_verdict
    from casas_ray.tracking.wandb_mirror import sync as sync_run

    mode = sync_run(record)
    verdict = recorded_verdict(record.folder)
    if verdict is not None:
        send_verdict(record, verdict, mode)
    if mode == "online":
        return "W&B has all of it"
    return "made anew offline; W&B has no key here or cannot be reached"


@command("sync", "runs")
def audit(
    run: RunOrStudy,
    as_json: AsJson = False,
) -> None:
    """Show what of a run or a study leaves this machine for W&B.

    Class by class; captions, sensor names and paths never do.

    Example: casas-ray audit data/runs/milan_tiny-milan-seed0-1a2b3c4d
    """
    from casas_ray.cli import tables
    from casas_ray.records.study_record import STUDY_FILE, read_study
    from casas_ray.tracking.audit import classes, run_by_run
    from casas_ray.tracking.outgoing import outgoing_of, outgoing_summary

    folder = run.here("best")
    records = records_in(folder)
    # The settings of a study are those of its first run: all of its runs are tracked alike.
    tracking, name = records[0].tracking, records[0].name
    with waiting("reading the ledgers"):
        leaving = [told for record in records for told in outgoing_of(record)]
    if (folder / STUDY_FILE).is_file():
        from casas_ray.run.conclude import summary_of

        study = read_study(folder)
        leaving.append(outgoing_summary(summary_of(study), tracking))
        name = study.study
    if as_json:
        print_json({**classes(leaving, tracking), "runs": run_by_run(leaving)})
    else:
        out.print(tables.audit(name, classes(leaving, tracking)))


@command("homes", "settings")
def doctor(changes: Changes = None, machine: OnMachine = "laptop", as_json: AsJson = False) -> None:
    """Check this machine for what training needs.

    A line each, and what to do.

    Example: casas-ray doctor tracking.entity=my-team
    """
    from dataclasses import asdict

    from casas_ray.cli import tables
    from casas_ray.run.doctor import examine

    recipe, on, tracking = settings(Recipe(), changes, simulated=False, machine=machine)
    with waiting("looking at this machine"):
        checks = examine(on, tracking, recipe.text)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        out.print(tables.checks(checks))
    bad = [check for check in checks if check.state == "missing"]
    if bad:
        names = ", ".join(check.name for check in bad)
        raise SetupError(
            f"{len(bad)} of {len(checks)} checks failed: {names}.",
            hint=bad[0].fix,
        )


@command("settings", "train")
def config(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="A starting point, or a JSON file.",
            autocompletion=completion.starting_points,
        ),
    ],
    changes: Changes = None,
) -> None:
    """Print a recipe as one flat JSON object.

    `casas-ray train --config` reads it back.

    Example: casas-ray config milan_baseline optim.epochs=10 > mine.json
    """
    path = Path(base)
    is_file = path.suffix == ".json"
    asked = configuration(path).settings if is_file else {}
    recipe = find_base("milan_baseline" if is_file else base, here=not is_file)
    recipe, _, tracking = settings(recipe, changes, simulated=False, extra=asked)
    print(written(recipe, tracking))
