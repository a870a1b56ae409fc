"""Names as they are shown: nothing in them is obeyed."""

import json

import pytest

from casas_ray.names import cell, json_text, plain, plain_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bed to Toilet", "Bed to Toilet"),
        ("schläft, 寝る, спит, 🛏", "schläft, 寝る, спит, 🛏"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b31m \x7f", "\\x9b31m \\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b\u200bc", "a\\u2028b\\u200bc"),
        ("\U000e0041", "\\U000e0041"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str):
    assert plain(text) == shown


def test_line_breaks_of_a_text_of_lines_stay():
    assert plain_lines("one\ntwo\x1b[2J") == "one\ntwo\\x1b[2J"


def test_json_stays_json_and_gives_back_what_was_said():
    value = {"\x1b]0;x\x07": ["\x7f", "\x85", "\u202e", "\U000e0041", "caf\udce9", "schläft"]}
    text = json_text(value)
    assert json.loads(text) == value
    assert "schläft" in text
    assert plain_lines(text) == text


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_begins_as_a_formula(formula: str):
    assert cell(formula) == f"'{formula}"
    assert cell("a\tb") == "a\\tb"
