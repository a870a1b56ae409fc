"""The door: run a command, and turn how it ends into one line and an exit code."""

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from casas_ray.cli import data, results, runs, tracking, train
from casas_ray.cli.app import app
from casas_ray.cli.console import err
from casas_ray.errors import CasasError, SetupError
from casas_ray.names import plain_lines

_INTERRUPTED = 130
_NO_ROOM = os.strerror(errno.ENOSPC)
COMMANDS = (data, runs, train, results, tracking)
"""The files whose commands the application has; importing one registers them."""


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
    sys.exit(run(words, debug=debug))


def run(words: Sequence[str], *, debug: bool) -> int:
    """The exit code of a command, run in this process.

    With debug a CasasError flies on, traceback and all; any other error is a bug and always does.
    """
    try:
        app(_tags_together(words))
    except CasasError as error:
        if debug:
            raise
        err.print(f"casas-ray: {error.problem}")
        if error.hint:
            err.print(f"  hint: {error.hint}")
        return error.exit_code
    # Heavy imports stand inside the commands, so one that is not installed shows only here.
    except ModuleNotFoundError as error:
        if debug or (error.name or "casas_ray").partition(".")[0] == "casas_ray":
            raise
        err.print(f"casas-ray: '{error.name}' is not installed in {sys.prefix}.")
        err.print(
            f"  hint: {sys.executable} -m pip install casas-ray, or activate its environment;"
        )
        err.print("  `casas-ray doctor` says what else is missing.")
        return SetupError.exit_code
    except Exception as error:
        if debug or _NO_ROOM not in str(error):
            raise
        # Said by the system, by pyarrow and by safetensors, each with an exception of its own.
        err.print("casas-ray: a disk is full; what was written before is whole.", markup=False)
        err.print("  hint: make room, and give the same command again.", markup=False)
        return SetupError.exit_code
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
        if code == _INTERRUPTED:
            err.print("casas-ray: interrupted; what was done stands, and the same command goes on.")
        return code
    return 0


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
    raise SystemExit(128 + number)
