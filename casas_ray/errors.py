"""The errors meant for users: what is wrong, what to do, and the exit code.

CasasError
├── SettingsError   2  a setting, an argument or a study that does not resolve
├── DataError       3  a log, a JSON file or a prepared set that cannot be used
│   └── MissingData    it is not at hand
├── SetupError      4  something this machine lacks
├── SomeFailed      5  some trials of a study failed or diverged
├── AllFailed       6  all of them did, or the one run did
│   └── Diverged       its loss is no longer a finite number
├── ClusterError    7  the cluster is out of reach or refused us
└── RefusedError    8  doing it would overwrite, leak or leave its folder

Terminated, like KeyboardInterrupt, is no error but somebody's wish that the process end. Anything
else that is raised is a bug, and shows its traceback.
"""

import difflib
from collections.abc import Iterable

_LONGEST_LINE = 300


class CasasError(Exception):
    """A problem in one line and a hint in another."""

    exit_code = 1

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders in Ray; keyword-only arguments need help to survive it.
        return (_rebuild, (type(self), self.problem, self.hint))


def _rebuild(kind: type[CasasError], problem: str, hint: str) -> CasasError:
    return kind(problem, hint=hint)


class SettingsError(CasasError):
    """A setting, an argument or a study that does not resolve."""

    exit_code = 2


class DataError(CasasError):
    """A log, a JSON file or a prepared set that cannot be used."""

    exit_code = 3


class MissingData(DataError):
    """A log or a prepared set that is not at hand."""


class SetupError(CasasError):
    """Something this machine lacks: a package, a model, room on the disk."""

    exit_code = 4


class SomeFailed(CasasError):
    """Some trials of a study failed or diverged; the others stand."""

    exit_code = 5


class AllFailed(CasasError):
    """Every trial failed or diverged, or the one run did."""

    exit_code = 6


class ClusterError(CasasError):
    """The cluster is out of reach, or it refused us."""

    exit_code = 7


class RefusedError(CasasError):
    """Doing it would overwrite a result, leak something or leave its folder."""

    exit_code = 8


class Diverged(AllFailed):
    """The loss is no longer a finite number."""


class Terminated(SystemExit):
    """The process was told to end, by SIGTERM; its exit code is 143."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, at most 300 characters; its kind where it is mute."""
    said = str(error).strip().splitlines()
    line = said[0] if said else type(error).__name__
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint: `did you mean 'x'?`, or the list of what exists when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"there are: {', '.join(names)}."
