"""How an errand on the cluster answers: one line of JSON in its log."""

import json
from collections.abc import Mapping
from typing import Any

from casas_ray.errors import CasasError

Answer = Mapping[str, Any]  # Any: what JSON holds

COMMAND = "at-cluster"
"""The command that errands are."""

MARK = "casas-ray answers: "
"""What the line begins with; whatever else a job's log holds is no answer."""

REFUSED = "refused"
"""The key of the exit code of an error that stands in the answer's stead."""


def line_of(answer: Answer) -> str:
    """The answer as the line that it is; ASCII, so that no log turns it into something else."""
    return MARK + json.dumps(answer)


def refusal(error: CasasError) -> Answer:
    """An error as an answer."""
    return {REFUSED: error.exit_code, "problem": error.problem, "hint": error.hint}


def answer_in(log: str) -> Answer | None:
    """The answer in a log, once its line is whole."""
    lines = [line for line in log.splitlines(keepends=True) if line.startswith(MARK)]
    if not lines or not lines[-1].endswith("\n"):
        return None
    return json.loads(lines[-1].removeprefix(MARK))
