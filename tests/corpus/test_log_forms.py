"""The story of `support/logs.py` in the forms that tools and people leave: each is read whole."""

from pathlib import Path

import numpy as np
import pytest
from support.log_forms import FORMS, SEPARATED, spelled
from support.logs import ACTIVITIES, EVENTS, STAMP, Told, labels_of, lines, read, story, unlabelled


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_story(tmp_path: Path, form: str):
    path = tmp_path / "log"
    path.write_text(lines(FORMS[form]))
    log, cleaned = read(path)
    assert log.rejected == []
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert unlabelled(cleaned) == 0
    told = story()
    assert labels_of(cleaned) == [each.activity for each in told]
    wanted = np.array([each.time for each in told], "datetime64[us]").astype(np.int64)
    # Forms that leave out seconds, or parts of one, keep the rest.
    apart = np.abs(cleaned.events.time_us - wanted).max()
    assert apart < (60_000_000 if form == "no seconds" else 1_000_000)
    if form in SEPARATED:
        assert apart == 0


@pytest.mark.parametrize("between", [" ", ", ", "; ", "\t", " and ", " & ", " / ", " | "])
def test_two_marks_on_a_line_both_act(tmp_path: Path, between: str):
    text, before = "", ""
    for told in story():
        is_own = told.mark == "begin" or told == story()[-1]
        marks = [before, told.annotation if is_own else ""]
        before = told.annotation if told.mark == "end" else ""
        said = between.join(mark for mark in marks if mark)
        text += f"{told.time:{STAMP}}\t{told.sensor}\t{told.state}\t{said}\n"
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.activities), unlabelled(cleaned), log.rejected) == (ACTIVITIES, 0, [])
    assert set(labels_of(cleaned)) == {told.activity for told in story()}


@pytest.mark.parametrize("marks", [("{} in", "{} out"), ("<{}>", "</{}>"), ("{} +", "{} -")])
def test_marks_that_are_not_understood_are_said(tmp_path: Path, marks: tuple[str, str]):
    def write(told: Told) -> str:
        return spelled(told, marks[told.mark == "end"].format(told.activity))

    (tmp_path / "log").write_text(lines(write))
    _, cleaned = read(tmp_path / "log")
    (note,) = cleaned.notes
    assert note.startswith(f"72 of 72 activities hold one event; if '{marks[0].format('Sleep')}',")
