"""The command `rerun`: a run once more, with the code that trained it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray import paths
from casas_ray.cli import completion
from casas_ray.cli.app import AsJson, command
from casas_ray.cli.console import out, print_json, say
from casas_ray.cli.typed_path import a_path
from casas_ray.errors import AllFailed
from casas_ray.files import shown

if TYPE_CHECKING:
    from casas_ray.records.rerun import Rerun

_RUN = "rerun"
"""The folder of the new run, in the worktree."""


@command("compare", "runs", "train")
def rerun(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="The folder of a run, or of a study's trial.",
            parser=a_path,
            autocompletion=completion.runs,
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="Do it: a new folder for the code and the run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print, or do, what trains a run again exactly.

    Its commit and changes go into a new worktree, and it is trained there, in one process, on the
    data folder of here. It is refused with what is missing: a commit, changes, versions. The result
    is compared with the first, bit by bit.

    Example: casas-ray rerun data/runs/STUDY/base-seed0 --to again
    """
    from casas_ray.records.rerun import rerun_of

    found = rerun_of(run)
    if to is not None:
        _do(found, to, as_json=as_json)
        return
    commands = found.commands("../again")
    words = shlex.join(["casas-ray", *found.words, "--machine", "debug", "--no-wandb"])
    if as_json:
        about = {"commit": found.commit, "packages": dict(found.packages), "python": found.python}
        print_json({**about, "commands": [*commands, words], "missing": list(found.missing)})
        return
    for line in [*commands, words]:
        out.print(line, soft_wrap=True)
    if found.missing:
        say(f"missing here: {'; '.join(found.missing)}")


def _do(found: "Rerun", to: Path, *, as_json: bool) -> None:
    from casas_ray.records.rerun import check_out
    from casas_ray.report.same_runs import difference

    check_out(found, to)
    new = to.absolute() / _RUN
    words = [*found.words, "--machine", "debug", "--no-wandb", "--output-dir", str(new)]
    # Of this Python, with the code of the worktree before all other.
    environment = {
        **os.environ,
        "PYTHONPATH": str(to.absolute()),
        "CASAS_RAY_DATA": str(paths.data_root().absolute()),
    }
    say(f"training {found.run.name} again in {shown(to)}")
    ended = subprocess.run(
        [sys.executable, "-m", "casas_ray", *words],
        cwd=to,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        raise AllFailed(
            f"the training there ended with exit code {ended.returncode}.",
            hint=f"the code stays at {shown(to)}; what it said stands above.",
        )
    differs = difference(new, found.run)
    if as_json:
        print_json({"folder": str(new), "difference": differs or None})
    else:
        out.print(f"{shown(new)}: {differs or 'the same, bit by bit'}")
