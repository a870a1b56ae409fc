"""Names from logs, studies, files and servers, written so that they are read and never obeyed."""

import json
import unicodedata


def plain(text: str) -> str:
    """The text on one line: what a terminal would obey instead of showing it stands as an escape.

    That is control characters, those that turn the direction of writing or have no width, and
    bytes that were no text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _shows(char) else _escaped(char) for char in text)


def plain_lines(text: str) -> str:
    """As `plain`, of a text whose line breaks are its own."""
    return "\n".join(plain(line) for line in text.split("\n"))


def cell(text: str) -> str:
    """The text as one cell of a tab-separated file, which no spreadsheet takes for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def json_text(value: object, *, ascii_only: bool = False) -> str:
    """The value as indented JSON that a terminal shows and does not obey."""
    text = json.dumps(value, indent=1, ensure_ascii=ascii_only)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(char if char == "\n" or _shows(char) else _json_escaped(char) for char in text)


def json_line(value: object) -> str:
    """The value as JSON on one line, as `json_text` writes it."""
    return json.dumps(value, ensure_ascii=True) + "\n"


def _shows(char: str) -> bool:
    # Spaces of other widths are no danger, and some alphabets use them between words.
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _json_escaped(char: str) -> str:
    # json.dumps leaves DEL as it is.
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]
