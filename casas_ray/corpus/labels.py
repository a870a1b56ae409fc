"""Labels that stand alone on a line, neither begun nor ended there: which of them are activities.

In a log without begins and ends every label is one. Beside begins and ends a label alone names an
activity that lasts, or one of a single line; words that name no activity are counted, not believed.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casas_ray.corpus.raw_log import RawLog

_RARE_SHARE = 0.1
_LEAST_LINES = 2
_MANY_LABELS = 3
_LEAST_RUN = 3
_MOST_LABELS = 500
_NOT_UNDERSTOOD = "words that are no activity"


def named_by_marks(log: RawLog, said: NDArray[np.int32]) -> tuple[dict[str, str], Counter[str]]:
    """The activity that each label of a begin or an end means; and a count of those that mean
    another than they say. `said` has the meaning of every row."""
    counts = np.bincount(said, minlength=len(log.meanings)).tolist()
    kinds: dict[str, Counter[str]] = {}
    for each, count in zip(log.meanings, counts, strict=True):
        for activity, kind in each.marks if count else ():
            kinds.setdefault(activity, Counter())[kind] += count
    means: dict[str, str] = {}
    noticed: Counter[str] = Counter()
    for label, found in kinds.items():
        first = _beginning(label, kinds.keys()) if log.dialect.grammar.marks_first else ""
        # `begin Bathe maybe`: what never ends, or is rare beside it, is another label and a word.
        is_note = first and (len(found) == 1 or 4 * found.total() < kinds[first].total())
        means[label] = first if is_note else label
        if is_note:
            noticed["word after a label"] += found.total()
    return _settled(means), noticed


def alone(log: RawLog, said: NDArray[np.int32]) -> tuple[list[str], Counter[str]]:
    """By meaning of the log the activity that it names by a label alone, or nothing; and a count
    of labels that were not taken for one. `said` has the meaning of every row, in order of time."""
    means, _ = named_by_marks(log, said)
    known = set(means.values())
    rows = _Rows.of([each.label for each in log.meanings], said)
    activity = _of_marked(rows.lines, known) if known else _of_unmarked(rows)
    noticed: Counter[str] = Counter()
    for label, count in rows.lines.items():
        if not activity[label]:
            noticed[_NOT_UNDERSTOOD] += count
        elif activity[label] != label:
            noticed["word after a label"] += count
    return [activity.get(each.label, "") for each in log.meanings], noticed


@dataclass(frozen=True)
class _Rows:
    """The rows of a log by the label that stands alone on them."""

    codes: NDArray[np.int64]
    """By row the index of its label in `names`; the first is no label."""

    names: list[str]
    lines: Counter[str]

    @classmethod
    def of(cls, labels: list[str], said: NDArray[np.int32]) -> "_Rows":
        names = list(dict.fromkeys(["", *labels]))
        index = {name: code for code, name in enumerate(names)}
        codes = np.array([index[label] for label in labels])[said]
        counts = np.bincount(codes, minlength=len(names)).tolist()
        lines = Counter({name: count for name, count in zip(names, counts, strict=True) if count})
        del lines[""]
        return cls(codes, names, lines)

    def in_runs(self, label: str = "") -> float:
        """Of the rows with a label, or with this one, the share in runs of three or more of it."""
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        lengths = np.diff(starts, append=len(self.codes))
        of = self.codes[starts]
        wanted = of == self.names.index(label) if label else of != 0
        long = int(lengths[wanted & (lengths >= _LEAST_RUN)].sum())
        return long / max(1, int(lengths[wanted].sum()))

    def beside(self, label: str, other: str) -> float:
        """Of the rows with a label, the share that have a row with the other next to them."""
        is_other = self.codes == self.names.index(other)
        near = np.zeros(len(self.codes), np.bool_)
        near[1:] |= is_other[:-1]
        near[:-1] |= is_other[1:]
        return float(near[self.codes == self.names.index(label)].mean())


def _of_unmarked(rows: _Rows) -> dict[str, str]:
    """Every label, unless labels are so few and so scattered that they are somebody's notes."""
    lines = rows.lines
    if lines.total() < _RARE_SHARE * len(rows.codes) and rows.in_runs() < 0.5:
        return dict.fromkeys(lines, "")
    firsts = {label: _beginning(label, lines.keys()) for label in lines}
    # A word after many labels, or here and there after a usual one, is no part of them.
    after = Counter(label.removeprefix(first) for label, first in firsts.items() if first)
    means: dict[str, str] = {}
    activities: set[str] = set()
    for label in sorted(lines, key=len):
        # Behind an activity, and behind one with words of its own, may stand more words.
        activity = _beginning(label, activities)
        if not any(
            first and _is_note(rows, after, label, first) for first in (activity, firsts[label])
        ):
            activity = label
            activities.add(label)
        means[label] = activity
    return means


def _settled(means: Mapping[str, str]) -> dict[str, str]:
    """What each label means in the end, where one means another that means a third."""
    settled: dict[str, str] = {}
    for label in sorted(means, key=len):  # what a label means is shorter than it is
        settled[label] = settled.get(means[label], means[label])
    return settled


def _is_note(rows: _Rows, after: Counter[str], label: str, first: str) -> bool:
    if after[label.removeprefix(first)] >= _MANY_LABELS:
        return True
    if rows.lines[label] <= 2 and rows.lines[first] >= 10:
        return True
    if len(rows.lines) > _MOST_LABELS:  # each would be looked for in the whole log
        return False
    return rows.beside(label, first) > 0.6 and rows.in_runs(label) < 0.5


def _of_marked(lines: Counter[str], known: set[str]) -> dict[str, str]:
    activity = {label: label if label in known else _beginning(label, known) for label in lines}
    # Only where labels alone are this log's manner is one of its own an activity of single lines.
    understood = sum(count for label, count in lines.items() if activity[label])
    if understood > 0.5 * lines.total():
        for label in lines:
            if not activity[label] and lines[label] >= _LEAST_LINES and _is_name(label):
                activity[label] = label
    return activity


def _beginning(label: str, known: Collection[str]) -> str:
    """The longest known label that a label begins with and is not; else nothing."""
    words = label.split(" ")
    starts = (" ".join(words[:count]) for count in range(len(words) - 1, 0, -1))
    return next((start for start in starts if start in known), "")


def _is_name(label: str) -> bool:
    return label[:1].isupper() and " " not in label
