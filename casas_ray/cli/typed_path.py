"""Options and arguments that take a path."""

from pathlib import Path

import typer


def a_path(text: str) -> Path:
    """A path that was typed.

    Raises:
        BadParameter: it is empty, which Python would take for the current folder.
    """
    if not text.strip():
        raise typer.BadParameter("a path cannot be empty; `.` is the current folder")
    return Path(text)


def path_option(*names: str, help: str) -> typer.models.OptionInfo:
    """An option that takes a path."""
    return typer.Option(*names, help=help, parser=a_path, metavar="PATH")
