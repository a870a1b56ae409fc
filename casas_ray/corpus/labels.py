"""Labels that stand alone on a line, neither begun nor ended there: which of them are activities.

In a log without begins and ends every label is one. Beside begins and ends a label alone names an
activity that lasts, or one of a single line; words that name no activity are counted, not believed.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.raw_log import RawLog

_RARE_SHARE = 0.02
_LEAST_LINES = 2
_NOT_UNDERSTOOD = "words that are no activity"


def alone(log: RawLog, said: NDArray[np.int32]) -> tuple[list[str], Counter[str]]:
    """By meaning of the log the activity that it names by a label alone, or nothing; and a count
    of labels that were not taken for one. `said` has the meaning of every row."""
    counts = np.bincount(said, minlength=len(log.meanings)).tolist()
    lines: Counter[str] = Counter()
    known: set[str] = set()
    for each, count in zip(log.meanings, counts, strict=True):
        if count:
            lines[each.label] += count
            known.update(activity for activity, _ in each.marks)
    del lines[""]
    activity = _of_marked(lines, known) if known else _of_unmarked(lines, len(said))
    noticed: Counter[str] = Counter()
    for label, count in lines.items():
        if not activity[label]:
            noticed[_NOT_UNDERSTOOD] += count
        elif activity[label] != label:
            noticed["word after a label"] += count
    return [activity.get(each.label, "") for each in log.meanings], noticed


def _of_unmarked(lines: Counter[str], rows: int) -> dict[str, str]:
    """Every label, unless labels are so few and so various that they are somebody's notes."""
    are_notes = lines.total() < _RARE_SHARE * rows and max(lines.values(), default=0) <= 2
    return {label: "" if are_notes else label for label in lines}


def _of_marked(lines: Counter[str], known: set[str]) -> dict[str, str]:
    activity = {label: _beginning(label, known) for label in lines}
    # Only where labels alone are this log's manner is one of its own an activity of single lines.
    understood = sum(count for label, count in lines.items() if activity[label])
    if understood > 0.5 * lines.total():
        for label in lines:
            if not activity[label] and lines[label] >= _LEAST_LINES and _is_name(label):
                activity[label] = label
    return activity


def _beginning(label: str, known: Iterable[str]) -> str:
    fitting = [each for each in known if label == each or label.startswith(f"{each} ")]
    return max(fitting, key=len, default="")


def _is_name(label: str) -> bool:
    return label[:1].isupper() and " " not in label
