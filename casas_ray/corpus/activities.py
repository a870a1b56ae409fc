"""Begin and end marks of a log become activities, and one label an event."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from casas_ray.corpus.events import NO_ACTIVITY

_RESIDENT = re.compile(r"(R\d+)[ _]")


class Mark(NamedTuple):
    """A `begin` or an `end` of an activity at an event (its row in time order)."""

    row: int
    activity: str
    kind: str


class Span(NamedTuple):
    """An activity from its first to its last event, both included."""

    first: int
    last: int
    activity: str


@dataclass
class PairedMarks:
    """Activities whose marks were paired, and a count of marks that did not pair up."""

    spans: list[Span] = field(default_factory=list)
    irregular: Counter[str] = field(default_factory=Counter)


def spans_of(marks: Sequence[Mark], lone: Sequence[Span] = ()) -> PairedMarks:
    """The activities that marks tell of: begins paired with ends, activity by activity.

    A second begin before an end opens a span of its own and leaves the first with its begin event
    alone. An end with no begin labels its own event, and all before it when it is the log's first
    mark: the log then starts within that activity. A begin with no end labels its own event.

    `lone` has runs of events that name an activity alone. One that is open goes on at least to
    there; one that is not is an activity from the first event of the run to its last.
    """
    paired = PairedMarks()
    open_since: dict[str, Span] = {}
    first = marks[0] if marks else None
    steps: list[tuple[int, Mark | Span]] = [(mark.row, mark) for mark in marks]
    steps += [(run.first, run) for run in lone]
    for _, step in sorted(steps, key=lambda step: step[0]):
        if isinstance(step, Span):
            _name(paired, open_since, step)
        elif step.kind == "begin":
            _begin(paired, open_since, step)
        else:
            _end(paired, open_since, step, is_first=step is first)
    for span in open_since.values():
        _leave(paired, span, "begin without end")
    return paired


def _leave(paired: PairedMarks, span: Span, irregular: str) -> None:
    # Where labels alone say how long it lasted, nothing is missing.
    if span.first == span.last:
        paired.irregular[irregular] += 1
    paired.spans.append(span)


def _begin(paired: PairedMarks, open_since: dict[str, Span], mark: Mark) -> None:
    if mark.activity in open_since:
        _leave(paired, open_since[mark.activity], "begin while open")
    open_since[mark.activity] = Span(mark.row, mark.row, mark.activity)


def _end(paired: PairedMarks, open_since: dict[str, Span], mark: Mark, *, is_first: bool) -> None:
    span = open_since.pop(mark.activity, None)
    begun = span.first if span else mark.row
    if span is None:
        paired.irregular["end without begin"] += 1
        begun = 0 if is_first else mark.row
    paired.spans.append(Span(begun, mark.row, mark.activity))


def _name(paired: PairedMarks, open_since: dict[str, Span], run: Span) -> None:
    if run.activity in open_since:
        open_since[run.activity] = open_since[run.activity]._replace(last=run.last)
    else:
        paired.spans.append(run)


def resident_of(activity: str) -> str:
    """`R2` for `R2 take medicine` or `R2_Sleep`; empty where the label names nobody."""
    resident = _RESIDENT.match(activity)
    return resident.group(1) if resident else ""


def runs_of(labels: Sequence[str]) -> list[Span]:
    """The runs of one label, where a log has a label on every line; no activity is no run."""
    starts = [row for row, label in enumerate(labels) if row == 0 or label != labels[row - 1]]
    ends = [*(row - 1 for row in starts[1:]), len(labels) - 1]
    spans = (Span(first, last, labels[first]) for first, last in zip(starts, ends, strict=False))
    return [span for span in spans if span.activity != NO_ACTIVITY]


def label_rows(spans: Sequence[Span], rows: int) -> list[str]:
    """One label a row: of the activities open there, the most recently begun."""
    names = [NO_ACTIVITY, *dict.fromkeys(span.activity for span in spans)]
    code = {name: index for index, name in enumerate(names)}
    labels = np.zeros(rows, dtype=np.int32)
    # In order of their begins, so that the activity begun last is the one that stays.
    for span in sorted(spans, key=lambda span: span.first):
        labels[span.first : span.last + 1] = code[span.activity]
    return [names[label] for label in labels.tolist()]
