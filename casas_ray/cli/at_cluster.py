"""What this machine asks of a cluster, as commands that run there; nobody types them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from casas_ray.cli.app import Changes, app, settings
from casas_ray.config import Recipe
from casas_ray.errors import CasasError
from casas_ray.run.cluster.answer import COMMAND, line_of, refusal

at_cluster = typer.Typer(rich_markup_mode=None, hidden=True, help="Answer a `casas-ray` elsewhere.")
app.add_typer(at_cluster, name=COMMAND)

_FETCHED_SECONDS = 3600.0


def _answer(told: Mapping[str, Any]) -> None:  # Any: what JSON holds
    print(line_of(told), flush=True)


@contextmanager
def _answering() -> Iterator[None]:
    """An error becomes the answer too: its exit code and hint are for who asked."""
    try:
        yield
    except CasasError as error:
        _answer(refusal(error))
        raise typer.Exit(error.exit_code) from None


@at_cluster.command()
def check(changes: Changes = None) -> None:
    """What the cluster has for one training on this machine."""
    with _answering():
        _, machine, _ = settings(Recipe(), changes, simulated=False)
        from casas_ray.run.cluster.look import look_around
        from casas_ray.run.environment import prepare_environment

        prepare_environment(machine)
        _answer(look_around(machine))


@at_cluster.command()
def pack(
    name: str, weights: Annotated[Literal["best", "all", "none"], typer.Option()] = "best"
) -> None:
    """Put a study into an archive, and keep it until this job is told to end."""
    from casas_ray.run.cluster import pack as packing

    with _answering():
        folder, place = packing.find(name), packing.place_of_logs()
        with packing.packed(folder, weights, place) as told:
            _answer(told)
            packing.until_told(_FETCHED_SECONDS)


@at_cluster.command()
def holds(items: str) -> None:
    """Which of these logs and sets are here already."""
    from casas_ray.run.cluster.receive import which_are_here

    with _answering():
        _answer(which_are_here(items))


@at_cluster.command()
def receive(token: str, offset: int, sha256: Annotated[str, typer.Option("--sha256")] = "") -> None:
    """Take a piece of what is pushed."""
    from casas_ray.run.cluster.receive import take_piece

    with _answering():
        _answer(take_piece(token, offset, sha256))
