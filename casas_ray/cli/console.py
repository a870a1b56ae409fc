"""Where output goes: tables and JSON to the standard output, progress and errors beside it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from casas_ray.cli.screen import Screen, literal
from casas_ray.names import json_text, plain, plain_lines

if TYPE_CHECKING:
    from rich.progress import TaskID

    from casas_ray.records.follow import Listener
    from casas_ray.records.run_record import RunRecord
    from casas_ray.run.gather import Steps

_SILENCE_S = 2.0
"""Seconds after which a log hears what takes so long."""

_LOG_WIDTH = 160
"""Columns of a table that goes to a file or to a job's log, where rich would take 80."""

# COLUMNS, where somebody says it, is heeded by rich.
_KNOWS_WIDTH = sys.stdout.isatty() or "COLUMNS" in os.environ
out = Screen(highlight=False, width=None if _KNOWS_WIDTH else _LOG_WIDTH)
err = Screen(highlight=False, soft_wrap=not sys.stderr.isatty(), stderr=True)


def say(text: str) -> None:
    """Print a line of progress on the error output."""
    err.print(text)


def pass_on(text: str) -> None:
    """Print what another program said on the standard output, line by line and at once."""
    # Not through rich, which would break lines at the terminal's width.
    print(plain_lines(text), flush=True)


def print_json(value: object) -> None:
    """Print JSON for scripts on the standard output."""
    print(json_text(value))


class _Lines:
    """Progress for a log: a line at the start and at each quarter, with the pace and the time
    left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[str, tuple[float, int]] = {}
        """When each was first heard of, and how much of it was done then."""

        self._quarters: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if what not in self._began:
            self._began[what], self._quarters[what] = (now, done), 4 * done // total
            say(f"{what}: {total:,}, once")
        began, found = self._began[what]
        quarter = 4 * done // total
        if self._quarters[what] < quarter and now > began:
            self._quarters[what] = quarter
            pace = (done - found) / (now - began)
            left = f"; {(total - done) / pace:.0f} s left" if done < total else ""
            say(f"{what}: {done:,} of {total:,}, {pace:,.0f} a second{left}")


@contextmanager
def stepping() -> Iterator["Steps"]:
    """Who hears of preparations that take long: a bar in a terminal, a few lines in a log."""
    if not err.is_terminal:
        yield _Lines()
        return
    from rich.markup import escape
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text

    class Pace(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} a second" if task.speed else "")

    with Progress(*Progress.get_default_columns(), Pace(), console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(escape(plain(what)), total=total)
            bar.update(tasks[what], completed=done)

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A block that may take long: a spinner in a terminal meanwhile, and in a log a line once it
    took two seconds."""
    if err.is_terminal:
        with err.status(literal(f"{what} ...")):
            yield
        return
    line = threading.Timer(_SILENCE_S, say, [f"{what} ..."])
    line.daemon = True
    line.start()
    try:
        yield
    finally:
        line.cancel()


@contextmanager
def judging(names: Sequence[str]) -> Iterator[Callable[[int, str], None]]:
    """Who hears which of these runs is at work, by its index, and on what: a bar in a terminal; in
    a log a line a run, or of a lone one a line a stage."""
    if not err.is_terminal:
        told: set[int] = set()

        def tell(index: int, stage: str) -> None:
            if len(names) == 1:
                say(f"{names[index]}: {stage}")
            elif index not in told:
                told.add(index)
                say(f"[{index + 1}/{len(names)}] {names[index]}")

        yield tell
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=len(names))
        yield lambda index, stage: bar.update(
            task, completed=index, description=plain(f"{names[index]}: {stage}")
        )


@contextmanager
def listening(records: Sequence["RunRecord"], name: str) -> Iterator[list["Listener"]]:
    """Who hears of the runs' ledger rows: the progress board, and the views they ask for."""
    from casas_ray.cli.live_bar import LiveBar
    from casas_ray.cli.progress import Board
    from casas_ray.tracking.views import views_of

    with LiveBar(name, err) as bar:
        names = [record.name.rpartition("/")[2] for record in records]
        yield [Board(names, say, bar.show), *views_of(records)]
