"""What stands between names and a terminal: every text is shown as it is, and none is obeyed.

Rich reads `[bold]`, `[link=...]` and `:name:` in a plain string as commands, and passes control
characters on. So a string that reaches a `Screen` or a `Table` becomes a `Text` made by `literal`.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from casas_ray.names import plain

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
