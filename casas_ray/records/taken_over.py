"""A study's or a run's folder from elsewhere, taken over beside or into what is here."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from casas_ray.errors import RefusedError
from casas_ray.files import new_folder, shown, write_whole
from casas_ray.records.ledger import LEDGER
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import STUDY_FILE, own
from casas_ray.records.run_result import CHECKPOINTS


def take_over(source: Path, target: Path) -> None:
    """Put what a folder from elsewhere holds into ours of the same study or run: records that are
    newer there, ledgers that went on there, checkpoints that are not here. Nothing is deleted.

    Raises:
        RefusedError: a run went on here and there, ours is at work or ahead, or it is not ours.
    """
    own(target)
    with locked(target):
        # All of it first: what is refused has changed nothing.
        for ledger in source.rglob(LEDGER):
            _refuse_apart(ledger, target / ledger.relative_to(source))
        for run in _folders(source):
            here = target / run.relative_to(source)
            if here != target:
                own(here)
            _take_checkpoints(run / CHECKPOINTS, here / CHECKPOINTS)
        # After the checkpoints that they tell of, and a study's own after those of its runs.
        for run in sorted(_folders(source), key=lambda run: len(run.parts), reverse=True):
            _take_records(run, target / run.relative_to(source))


def _folders(source: Path) -> Iterator[Path]:
    """A study with its runs, or a run alone."""
    yield source
    if (source / STUDY_FILE).is_file():
        yield from (path.parent for path in sorted(source.glob(f"*/{LEDGER}")))


def _refuse_apart(there: Path, here: Path) -> None:
    ours = here.read_bytes() if here.is_file() else b""
    # A last line that is torn was being written while it was read.
    whole = ours[: ours.rfind(b"\n") + 1]
    if not there.read_bytes().startswith(whole):
        raise RefusedError(
            f"{shown(here)} went on here, or is of another training.",
            hint="move its folder away, and pull again; nothing was changed.",
        )


def _take_checkpoints(there: Path, here: Path) -> None:
    for folder in sorted(there.glob("*/")):
        target = here / folder.name
        if target.exists():
            continue
        with new_folder(target) as draft:
            for path in folder.iterdir():
                path.replace(draft / path.name)


def _take_records(there: Path, here: Path) -> None:
    for path in sorted(there.iterdir()):
        if path.is_file():
            with contextlib.suppress(FileNotFoundError):
                if path.read_bytes() == (here / path.name).read_bytes():
                    continue
            write_whole(here / path.name, path.read_bytes())
