"""Logs from grammars: every dialect with the irregularities seen in the wild, drawn at random.

Whatever was drawn, each line is an event or set aside, times do not fall, what was written at one
moment stays in its order, no label is invented, no event of the home is lost, and nothing is
refused. A longer search:
CASAS_RAY_GRAMMAR_SECONDS=600 python -m pytest tests/corpus/test_log_grammar.py
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.logs import STAMP, Told, read, story

from casas_ray.corpus.events import NO_ACTIVITY

STORY = story()
LABELS = {told.activity for told in STORY}
EPOCH = datetime(1970, 1, 1)

TIMES: dict[str, Callable[[datetime], str]] = {
    "plain": lambda at: f"{at:{STAMP}}",
    "T": lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}",
    "Z": lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
    "offset": lambda at: f"{at:{STAMP}}-08:00",
    "offset apart": lambda at: f"{at:{STAMP}} -0800",
    "half days": lambda at: f"{at:%Y-%m-%d %I:%M:%S.%f %p}",
    "comma": lambda at: f"{at:%Y-%m-%d %H:%M:%S,%f}",
    "cut zeros": lambda at: f"{at:{STAMP}}".rstrip("0"),
    "seven digits": lambda at: f"{at:{STAMP}}7",
    "nine digits": lambda at: f"{at:{STAMP}}789",
    "whole seconds": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "points": lambda at: f"{at:%d.%m.%Y %H:%M:%S.%f}",
    "month first": lambda at: f"{at:%m/%d/%Y %H:%M:%S.%f}",
    "by name": lambda at: f"{at:%d-%b-%Y %H:%M:%S}",
    "epoch s": lambda at: f"{(at - EPOCH).total_seconds():.6f}",
    "epoch ms": lambda at: f"{(at - EPOCH) / timedelta(milliseconds=1):.0f}",
    "epoch us": lambda at: f"{(at - EPOCH) / timedelta(microseconds=1):.0f}",
}
MARKS: dict[str, Callable[[Told], str]] = {
    "plain": lambda told: told.annotation,
    "assigned": lambda told: f'{told.activity}="{told.mark}"',
    "hanging": lambda told: f"{told.activity}_{told.mark}",
    "shouted": lambda told: f"{told.activity} {told.mark.upper()}",
    "before": lambda told: f"{told.mark} {told.activity}",
    "in brackets": lambda told: f"{told.activity} ({told.mark})",
    "after a slash": lambda told: f"{told.activity}/{told.mark}",
    "misspelt": lambda told: told.annotation.replace("begin", "begub"),
}
STATES = {
    "plain": {},
    "small": {"ON": "on", "OFF": "off", "OPEN": "open", "CLOSE": "closed"},
    "Opened": {"OPEN": "Opened", "CLOSE": "CLOSED"},
    "present": {"ON": "PRESENT", "OFF": "ABSENT"},
    "Active": {"ON": "Active", "OFF": "inactive"},
}
STRAY = ("maybe", "(approx.)", "0.93", "?", "note: see diary", "12", "XXX", "# checked", '""')
BAD = (
    "",
    "   ",
    "\x00\x00",
    "garbage",
    "2016-13-41 08:00:00\tM001\tON",
    "2016-03-08 08:00:00\tM001",
    "2016-03-08 08:00:00 M001",
    "yesterday\tM001\tON",
    "ERROR: disk full, restarting",
    "date,time,sensor,value",
    "2016-03-08 08:00:00\tENTERHOME\tON",
    "\ufffd\u2028M001",
    "x" * 5000,
)


@dataclass(frozen=True)
class Form:
    """What was drawn for a whole log."""

    separator: str
    time: str
    split_time: bool
    layout: str
    annotation: str
    mark: str
    states: str
    ends: str
    encoding: str


FORM = st.builds(
    Form,
    separator=st.sampled_from(["\t", " ", ",", ";", "  ", "\t\t"]),
    time=st.sampled_from(sorted(TIMES)),
    split_time=st.booleans(),
    layout=st.sampled_from(["marked", "labelled", "columns", "typed"]),
    annotation=st.sampled_from(["marks", "alone", "both", "none"]),
    mark=st.sampled_from(sorted(MARKS)),
    states=st.sampled_from(sorted(STATES)),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)


@dataclass(frozen=True)
class Trouble:
    """What befalls the log: how many lines of each kind, drawn with a seed of their own."""

    seed: int
    strays: int
    bad: int
    repeated: int
    swapped: int
    numbers: int
    unset: int


TROUBLE = st.builds(
    Trouble,
    seed=st.integers(0, 10**6),
    strays=st.integers(0, 12),
    bad=st.integers(0, 10),
    repeated=st.sampled_from([0, 0, 40]),
    swapped=st.integers(0, 10),
    numbers=st.integers(0, 30),
    unset=st.sampled_from([0, 0, 5]),
)


def written(form: Form, told: Told) -> list[str]:
    """The columns of a line."""
    at = TIMES[form.time](told.time)
    columns = at.split(" ", 1) if form.split_time else [at]
    state = STATES[form.states].get(told.state, told.state)
    columns += {
        "marked": [told.sensor, state],
        "labelled": ["Kitchen" if told.sensor < "M" else "Hall", f"At{told.sensor}", state],
        "columns": [told.sensor, "Hall", f"At{told.sensor}", state],
        "typed": [told.sensor, state, "Control4-Motion"],
    }[form.layout]
    if told.mark and form.annotation in ("marks", "both"):
        columns.append(MARKS[form.mark](told))
    elif form.annotation == "alone" or (form.annotation == "both" and not told.mark):
        columns.append(told.activity)
    return columns


def log_of(form: Form, trouble: Trouble) -> list[str]:
    """The lines of a log."""
    rng = random.Random(trouble.seed)
    lines = [form.separator.join(written(form, told)) for told in STORY]
    for _ in range(trouble.strays):
        at = rng.randrange(len(lines))
        lines[at] += form.separator + rng.choice(STRAY)
    for _ in range(trouble.swapped):
        at = rng.randrange(len(lines) - 1)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    for index in range(trouble.numbers):
        number = Told(
            STORY[index].time + timedelta(seconds=1.5), "T001", f"{20 + index / 2}", "", ""
        )
        lines.insert(rng.randrange(len(lines)), form.separator.join(written(form, number)))
    for index in range(trouble.unset):
        early = Told(datetime(1970, 1, 2, 0, index, 1, 500_000), "M001", "ON", "", "")
        lines.insert(rng.randrange(len(lines)), form.separator.join(written(form, early)))
    for _ in range(trouble.bad):
        lines.insert(rng.randrange(len(lines)), rng.choice(BAD))
    start = rng.randrange(len(lines) - trouble.repeated)
    return lines + lines[start : start + trouble.repeated]


def holds(path: Path, form: Form, trouble: Trouble) -> None:
    """Write the log, read it, and look at what has to hold."""
    lines = log_of(form, trouble)
    content = form.ends.join(lines) + form.ends
    path.write_bytes(content.encode(form.encoding, errors="replace"))
    # So little trouble as is drawn leaves every log readable; it counts the lines, looks at times.
    log, cleaned = read(path)
    events = cleaned.events
    assert len(events) >= len(STORY)
    assert log.total == len(lines)
    assert len(np.unique(events.line)) == len(events)
    same = np.diff(events.time_us) == 0
    # A line without a time that is kept for its mark has its neighbour's; it is no event.
    assert (np.diff(events.line)[same] > 0).all()
    assert set(events.label.names) <= LABELS | {NO_ACTIVITY}
    assert {activity.label for activity in cleaned.activities} <= LABELS
    rows = {row.number for row in [*log.rejected, *cleaned.dropped]}
    assert rows.isdisjoint(events.line.tolist())


def fits(form: Form) -> bool:
    """Whether columns can be told apart at all in what was drawn."""
    if form.separator == "," and form.time == "comma":
        return not form.split_time  # else a comma within a time is one between columns too
    return True


SEARCH_SECONDS = float(os.environ.get("CASAS_RAY_GRAMMAR_SECONDS", "0"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FORM.filter(fits), TROUBLE)
def test_whatever_is_drawn_is_read_or_refused(tmp_path_factory, form: Form, trouble: Trouble):
    holds(tmp_path_factory.mktemp("grammar") / "log", form, trouble)


QUIET = st.just(Trouble(0, 0, 0, 0, 0, 0, 0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FORM.filter(fits), QUIET)
def test_a_log_without_trouble_is_read_whole(tmp_path_factory, form: Form, trouble: Trouble):
    path = tmp_path_factory.mktemp("grammar") / "log"
    holds(path, form, trouble)
    _, cleaned = read(path)
    assert len(cleaned.events) == len(STORY)
    labelled = form.annotation != "none"
    assert (len(cleaned.activities) == 36) == labelled
    assert (set(cleaned.events.label.names) == LABELS) == labelled


@pytest.mark.skipif(not SEARCH_SECONDS, reason="CASAS_RAY_GRAMMAR_SECONDS names no search")
def test_a_long_search_finds_nothing(tmp_path: Path):
    ends = time.monotonic() + SEARCH_SECONDS
    tried = 0

    @settings(
        max_examples=500,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(FORM.filter(fits), TROUBLE)
    def search(form: Form, trouble: Trouble) -> None:
        nonlocal tried
        if time.monotonic() < ends:
            tried += 1
            holds(tmp_path / "log", form, trouble)

    while time.monotonic() < ends:
        search()
    assert tried > SEARCH_SECONDS
