"""What stands between names and a terminal: every text is shown as it is, and none is obeyed.

Rich reads `[bold]`, `[link=...]` and `:name:` in a plain string as commands, and passes control
characters on. So a string that reaches a `Screen` or a `Table` becomes a `Text` made by `literal`.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from casas_ray.names import plain

_ANNOTATIONS = {"title": "table.title", "caption": "table.caption"}

Anything = Any  # Any: whatever rich can show


def literal(text: str) -> Text:
    """A text of one line that is shown as it is."""
    return Text(plain(text))


def lines(texts: Iterable[str]) -> Text:
    """Texts of one line each, one under another."""
    return Text("\n".join(plain(text) for text in texts))


def _literally(thing: Anything) -> Anything:
    return literal(thing) if isinstance(thing, str) else thing


class Screen(Console):
    """A console that shows strings as they are."""

    def print(self, *objects: Anything, **options: Anything) -> None:
        """Print strings literally, and what is no string as rich does."""
        super().print(*(_literally(each) for each in objects), **options)


class Table(RichTable):
    """A table whose title, heads, cells and caption are shown as they are."""

    def __setattr__(self, name: str, value: Anything) -> None:
        if name in _ANNOTATIONS and isinstance(value, str | Text):
            # Rich gives its own style to strings alone.
            value = _literally(value)
            value.style = _ANNOTATIONS[name]
        super().__setattr__(name, value)

    def add_column(self, header: Anything = "", *more: Anything, **options: Anything) -> None:
        """Add a column under a literal head."""
        super().add_column(_literally(header), *more, **options)

    def add_row(self, *cells: Anything, **options: Anything) -> None:
        """Add a row of literal cells."""
        super().add_row(*(_literally(cell) for cell in cells), **options)
