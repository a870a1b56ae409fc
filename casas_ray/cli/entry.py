"""The door: run a command, and turn how it ends into one line and an exit code."""

import atexit
import contextlib
import errno
import io
import logging
import os
import signal
import sys
import threading
import traceback
from bdb import BdbQuit
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import typer

from casas_ray.cli import (
    asking,
    at_cluster,
    chaos,
    clustering,
    data,
    discovering,
    jobs,
    judged,
    labelling,
    mapping,
    naming,
    on_disk,
    planning,
    report,
    rerun,
    results,
    runs,
    sql,
    studies,
    tracking,
    train,
    transfer,
    using,
    watching,
)
from casas_ray.cli.app import app
from casas_ray.cli.console import err
from casas_ray.cli.usage import usage_error
from casas_ray.errors import CasasError, SetupError, Terminated
from casas_ray.files import shown, why
from casas_ray.names import plain_lines
from casas_ray.run.environment import RAY_THREAD

_NO_ROOM = os.strerror(errno.ENOSPC)
_INTERRUPTED = 130
_TERMINATED = 143
_SIGNALS = {_INTERRUPTED: "interrupted", _TERMINATED: "told to end"}
_ENDED = "casas-ray: {}; what was done stands, and the same command goes on."
COMMANDS = (
    data,
    studies,
    planning,
    runs,
    train,
    chaos,
    on_disk,
    watching,
    results,
    report,
    sql,
    rerun,
    judged,
    clustering,
    asking,
    using,
    labelling,
    mapping,
    naming,
    discovering,
    tracking,
    jobs,
    transfer,
    at_cluster,
)
"""The files whose commands the application has, as its help orders them; importing one registers
them."""
_MODULES = [each.__name__ for each in COMMANDS]
app.registered_commands.sort(key=lambda each: _MODULES.index(each.callback.__module__))


def main() -> None:
    """Run a command and exit with its code; --debug anywhere before `--` shows tracebacks."""
    words = sys.argv[1:]
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own
    if debug:  # what stands behind `--` is another command's, which submit sends on
        words.remove("--debug")
    told = logging.StreamHandler()
    told.setFormatter(_Plain("casas-ray: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[told])
    sys.excepthook = _tell_bug
    signal.signal(signal.SIGTERM, _terminated)
    _leave(run(words, debug=debug))


def _leave(code: int) -> None:
    hangs_in_ray = any(thread.name == RAY_THREAD for thread in threading.enumerate())
    if not hangs_in_ray and code not in _SIGNALS:
        sys.exit(code)
    for number in (signal.SIGINT, signal.SIGTERM):  # one more of them ends as the first one does
        signal.signal(number, lambda *_: os._exit(code))
    if not hangs_in_ray:
        # Quietly: Ray's stop of a job signals every process below it, W&B's service among them,
        # whose absence W&B would tell at length. What it did not send is in the ledgers.
        with contextlib.redirect_stderr(io.StringIO()):
            atexit._run_exitfuncs()
    # Not sys.exit: Ray's own end waits a minute for a cluster that is gone, and then aborts; and
    # late in Python's a signal kills, and the code is lost.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(words: Sequence[str], *, debug: bool) -> int:
    """The exit code of a command, run in this process.

    With debug its traceback is shown too. An error that is no CasasError and not the system's is a
    bug, and flies on.
    """
    try:
        # Not typer's standalone mode: what was typed wrongly is told as any other mistake is.
        ended = app(_tags_together(words), prog_name="casas-ray", standalone_mode=False)
        return _told_signal(ended) if isinstance(ended, int) else 0
    except typer.TyperException as error:
        _show_trace(error, debug=debug)
        return _told(usage_error(error, words))
    except CasasError as error:
        _show_trace(error, debug=debug)
        return _told(error)
    # What the system refuses, a full disk, a folder that is gone or not ours, is no bug of ours.
    except OSError as error:
        _show_trace(error, debug=debug)
        if _NO_ROOM in str(error):
            return _told(_full_disk())
        return _told(_refused_by_system(error))
    except BdbQuit:  # `q` in a debugger
        return _told_signal(_INTERRUPTED)
    # Heavy imports stand inside the commands, so one that is not installed shows only here.
    except ModuleNotFoundError as error:
        if (error.name or "casas_ray").partition(".")[0] == "casas_ray":
            raise
        _show_trace(error, debug=debug)
        err.print(f"casas-ray: '{error.name}' is not installed in {sys.prefix}.")
        err.print(
            f"  hint: {sys.executable} -m pip install casas-ray, or activate its environment;"
        )
        err.print("  `casas-ray doctor` says what else is missing.")
        return SetupError.exit_code
    except Exception as error:
        if _NO_ROOM not in str(error):
            raise
        _show_trace(error, debug=debug)
        # Said by the system, by pyarrow and by safetensors, each with an exception of its own.
        return _told(_full_disk())
    except SystemExit as end:
        return _told_signal(end.code if isinstance(end.code, int) else 0)


def _told_signal(code: int) -> int:
    if code in _SIGNALS:
        err.print(_ENDED.format(_SIGNALS[code]))
    return code


def _show_trace(error: BaseException, *, debug: bool) -> None:
    if debug:
        _tell_bug(type(error), error, error.__traceback__)


def _refused_by_system(error: OSError) -> SetupError:
    hint = "--debug shows what wanted it."
    if not error.filename:
        return SetupError(f"{why(error)}.", hint=hint)
    path = Path(str(error.filename))
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        hint = f"{shown(path.parent)} is gone: was it moved or deleted meanwhile? {hint}"
    return SetupError(f"{shown(path)}: {why(error)}.", hint=hint)


def _full_disk() -> SetupError:
    return SetupError(
        "a disk is full; what was written before is whole.",
        hint="make room, and give the same command again.",
    )


def _told(error: CasasError) -> int:
    err.print(f"casas-ray: {error.problem}", markup=False)
    if error.hint:
        err.print(f"  hint: {error.hint}", markup=False)
    return error.exit_code


def _tags_together(words: Sequence[str]) -> list[str]:
    """`--wandb_tags milan baseline` as the earlier scripts took it: every word up to the next
    option or setting is a tag."""
    together: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        together.append(word)
        if word in ("--wandb_tags", "--wandb-tags"):
            tags = []
            while waiting and not waiting[0].startswith("-") and "=" not in waiting[0]:
                tags.append(waiting.pop(0))
            together += [",".join(tags)] if tags else []
    return together


class _Plain(logging.Formatter):
    """Log lines as they are: they quote files and servers."""

    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


def _tell_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # As Python would, but for what the error quotes.
    said = "".join(traceback.format_exception(kind, error, trace))
    print(plain_lines(said), end="", file=sys.stderr)


def _terminated(number: int, frame: object) -> None:
    # An exception rather than death at once: ledgers are ended and Ray's workers shut down.
    raise Terminated(_TERMINATED)
