"""Commands about studies as files: studies, new-study."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from casas_ray import paths
from casas_ray.catalog import Declared, bases, declared_studies, study_files
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, waiting
from casas_ray.cli.fitting import Table
from casas_ray.errors import RefusedError, SettingsError, did_you_mean
from casas_ray.files import shown
from casas_ray.records.on_disk import OnDisk, newest_of

_NEW = '''"""{question}

Guess: say here what you expect, before you look.
Run: casas-ray tune {run}
"""

from casas_ray.study import Study, each
from tune_spaces.bases import {base}

STUDY = Study(
    question="{question}",
    base={base}(),  # it runs as an arm by itself
    arms=each("optim.learning_rate", [1e-4, 1e-3]),  # your own: `casas-ray settings` lists them
    seeds=range(6),  # the fewest that can say that a difference does not matter
)
'''


@command("new-study", "plan", "tune", "runs")
def studies(as_json: AsJson = False) -> None:
    """List the studies, their trials, and what of each is on disk.

    Those of ./tune_spaces are read and not run, so their arms are not counted.

    Example: casas-ray studies
    """
    with waiting("reading the ledgers"):
        held = [(each, newest_of(paths.runs(), each.name)) for each in declared_studies()]
    if as_json:
        print_json([_told(each, there) for each, there in held])
        return
    table = Table(caption="Arms besides the base. One of them: casas-ray plan STUDY")
    for name in ("study", "question"):
        table.add_column(name, no_wrap=name == "study")
    for name in ("arms", "seeds", "trials"):
        table.add_column(name, justify="right")
    table.add_column("newest on disk")
    for each, there in held:
        sizes = list(_sizes(each).values())
        counts = ["-" if size is None else str(size) for size in sizes]
        table.add_row(each.name, each.question, *counts, _state(there))
    out.print(table)


def _sizes(declared: Declared) -> dict[str, int | None]:
    study = declared.study
    if study is None:
        return {"arms": None, "seeds": None, "trials": None}
    trials = len(study.trials())
    return {"arms": len(study.arms), "seeds": len(study.seeds), "trials": trials}


def _told(declared: Declared, there: OnDisk | None) -> dict[str, object]:
    about = {"name": declared.name, "file": str(declared.path), "question": declared.question}
    states = dict(Counter(run.state for run in there.runs)) if there else {}
    folder = {"folder": str(there.folder), "caveats": list(there.caveats)} if there else {}
    return {**about, **_sizes(declared), "states": states, **folder}


def _state(there: OnDisk | None) -> str:
    if there is None:
        return "-"
    counts = Counter(run.state for run in there.runs)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    return states + (f" ({', '.join(there.caveats)})" if there.caveats else "")


@command("studies", "plan", "tune", "settings", name="new-study")
def new_study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the study and of its file.")],
    question: Annotated[
        str, typer.Option("--question", help="What it asks.")
    ] = "Which learning rate aligns best?",
    base: Annotated[
        str,
        typer.Option(
            "--base", help="The starting point.", autocompletion=completion.starting_points
        ),
    ] = "milan_baseline",
) -> None:
    """Write a study that runs, NAME.py, to begin your own with.

    Nothing is overwritten. docs/own_study.md tells what a study can hold.

    Example: casas-ray new-study widths --question "How wide must the encoder be?"
    """
    path = Path(f"{paths.safe_name(name.removesuffix('.py'), what='study')}.py")
    if path.stem in study_files():
        raise SettingsError(
            f"there is a study '{path.stem}' already.", hint="`casas-ray studies` lists them."
        )
    if base not in bases():
        raise SettingsError(f"no starting point '{base}'.", hint=did_you_mean(base, bases()))
    if not question.strip() or not question.isprintable() or set('"\\') & set(question):
        raise SettingsError(
            "--question stands in a Python string: letters, and no quotes or backslashes.",
            hint='--question "How wide must the encoder be?"',
        )
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(_NEW.format(question=question, base=base, run=path))
    except FileExistsError:
        raise RefusedError(
            f"{shown(path)} is there already.", hint="give the study another name."
        ) from None
    out.print(f"{shown(path)} is a study. Next:")
    out.print(f"  casas-ray plan {shown(path)}")
    out.print(f"  casas-ray tune {shown(path)} --simulated --quick")
