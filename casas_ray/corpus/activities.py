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
class Spans:
    """The activities found, and a count of marks that did not pair up."""

    spans: list[Span] = field(default_factory=list)
    irregular: Counter[str] = field(default_factory=Counter)


def spans_of(marks: Sequence[Mark]) -> Spans:
    """Pair begins with ends, activity by activity.

    A second begin before an end opens a span of its own and leaves the first with its begin event
    alone. An end with no begin labels its own event, and all before it when it is the log's first
    mark: the log then starts within that activity. A begin with no end labels its own event.
    """
    found = Spans()
    open_since: dict[str, int] = {}
    for place, mark in enumerate(marks):
        if mark.kind == "begin":
            _begin(found, open_since, mark)
        else:
            _end(found, open_since, mark, is_first=place == 0)
    for activity, row in open_since.items():
        found.irregular["begin without end"] += 1
        found.spans.append(Span(row, row, activity))
    return found


def _begin(found: Spans, open_since: dict[str, int], mark: Mark) -> None:
    if mark.activity in open_since:
        found.irregular["begin while open"] += 1
        row = open_since[mark.activity]
        found.spans.append(Span(row, row, mark.activity))
    open_since[mark.activity] = mark.row


def _end(found: Spans, open_since: dict[str, int], mark: Mark, *, is_first: bool) -> None:
    begun = open_since.pop(mark.activity, None)
    if begun is None:
        found.irregular["end without begin"] += 1
        begun = 0 if is_first else mark.row
    found.spans.append(Span(begun, mark.row, mark.activity))


def resident_of(activity: str) -> str:
    """`R2` for `R2 take medicine` or `R2_Sleep`; empty where the label names nobody."""
    found = _RESIDENT.match(activity)
    return found.group(1) if found else ""


def runs_of(labels: Sequence[str]) -> list[Span]:
    """Runs of one label, where a log has a label on every line; without activity is no run."""
    starts = [row for row, label in enumerate(labels) if row == 0 or label != labels[row - 1]]
    ends = [*(row - 1 for row in starts[1:]), len(labels) - 1]
    spans = (Span(first, last, labels[first]) for first, last in zip(starts, ends, strict=False))
    return [span for span in spans if span.activity != NO_ACTIVITY]


def label_rows(spans: Sequence[Span], rows: int) -> list[str]:
    """One label a row: of the activities open there, the most recently begun."""
    names = [NO_ACTIVITY, *dict.fromkeys(span.activity for span in spans)]
    code = {name: place for place, name in enumerate(names)}
    labels = np.zeros(rows, dtype=np.int32)
    for span in sorted(spans, key=lambda span: span.first):
        labels[span.first : span.last + 1] = code[span.activity]
    return [names[label] for label in labels.tolist()]
