"""Tables that fit a terminal of any width: words wrap, numbers and names do not, and columns that
find no room stand in a further table below, beside the same first columns."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from casas_ray.cli.screen import literal

Justify = Literal["left", "right"]

_GAP, _EDGE = 3, 1
"""Columns of the screen that a table's column takes besides its text, and the table itself."""

_PARTS = re.compile(r"[^+/ ]*(?:[+/ ]|$)")
_SMALL_PARTS = re.compile(r"[^_:]*(?:[_:]+|$)")
"""A name up to and with its next joint; where such a part is too long, its own parts."""

_LEAST_TEXT = 8
"""Nothing is made narrower than this, whatever the terminal."""


@dataclass(frozen=True)
class _Column:
    head: Text
    justify: Justify
    no_wrap: bool


@dataclass(frozen=True)
class _Row:
    cells: Sequence[Text]
    style: str


@dataclass
class Table:
    """A table whose title, heads, cells and caption are shown as they are.

    Cells of a column that is right-justified (numbers) or `no_wrap` (names) stay whole; the others
    are cut between words.
    """

    title: str = ""
    caption: str | Text = ""
    show_header: bool = True
    show_lines: bool = False
    keys: int = 1
    """Columns at the left that tell rows apart: they stand in every piece."""

    _columns: list[_Column] = field(default_factory=list)
    _rows: list[_Row] = field(default_factory=list)
    _sections: set[int] = field(default_factory=set)

    def add_column(
        self, head: str = "", *, justify: Justify = "left", no_wrap: bool = False
    ) -> None:
        """Add a column under a literal head."""
        self._columns.append(_Column(literal(head), justify, no_wrap))

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row of literal cells."""
        texts = [literal(cell) if isinstance(cell, str) else cell for cell in cells]
        self._rows.append(_Row(texts, style))

    def add_section(self) -> None:
        """Draw a line below the last row."""
        self._sections.add(len(self._rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table in so many pieces as the width asks for."""
        pieces = list(self._pieces(options.max_width))
        tables = [self._drawn(piece, options.max_width) for piece in pieces]
        if self.title:
            yield Text(literal(self.title).plain, style="table.title")
        yield from tables
        if self.caption:
            caption = literal(self.caption) if isinstance(self.caption, str) else self.caption
            yield Text(caption.plain, style="table.caption")

    def _pieces(self, width: int) -> Iterator[list[int]]:
        """Indices of the columns of each piece; the keys are in all of them."""
        keys = list(range(min(self.keys, len(self._columns))))
        piece = keys
        for index in range(len(keys), len(self._columns)):
            wanted = [*piece, index]
            if piece != keys and sum(map(self._least, wanted)) > _room(width, len(wanted)):
                yield piece
                wanted = [*keys, index]
            piece = wanted
        yield piece

    def _drawn(self, piece: Sequence[int], width: int) -> RichTable:
        drawn = RichTable(show_header=self.show_header, show_lines=self.show_lines)
        widths = self._widths(piece, width)
        for index, of_column in zip(piece, widths, strict=True):
            column = self._columns[index]
            # What has no joint and is longer than the screen is cut anywhere, and not left out.
            drawn.add_column(column.head, justify=column.justify, width=of_column, overflow="fold")
        for at, row in enumerate(self._rows):
            cells = [
                _jointed(row.cells[index], of_column)
                for index, of_column in zip(piece, widths, strict=True)
            ]
            drawn.add_row(*cells, style=row.style, end_section=at in self._sections)
        return drawn

    def _widths(self, piece: Sequence[int], width: int) -> list[int]:
        room = _room(width, len(piece))
        widths = [self._least(index) for index in piece]
        wanted = [self._most(index) for index in piece]
        if sum(widths) > room:
            return _squeezed(widths, room)
        # What is left goes to those that want it, a little at a time: the longest get most.
        while sum(widths) < min(room, sum(wanted)):
            needs = [most - have for most, have in zip(wanted, widths, strict=True)]
            widths[needs.index(max(needs))] += 1
        return widths

    def _texts(self, index: int) -> list[Text]:
        return [row.cells[index] for row in self._rows]

    def _most(self, index: int) -> int:
        heads = [self._columns[index].head] if self.show_header else []
        return max((_longest_line(text) for text in [*heads, *self._texts(index)]), default=1)

    def _least(self, index: int) -> int:
        column = self._columns[index]
        is_whole = column.justify == "right" or column.no_wrap
        of_cell = _longest_line if is_whole else _longest_word
        heads = [_longest_word(column.head)] if self.show_header else []
        return max([1, *heads, *map(of_cell, self._texts(index))])


def _room(width: int, columns: int) -> int:
    """What a screen's width leaves for the text of so many columns."""
    return width - columns * _GAP - _EDGE


def _squeezed(widths: list[int], room: int) -> list[int]:
    """The widths with the widest made narrower until all of them fit."""
    narrow = list(widths)
    while sum(narrow) > room and max(narrow) > _LEAST_TEXT:
        narrow[narrow.index(max(narrow))] -= 1
    return narrow


def _jointed(text: Text, width: int) -> Text:
    """The text with names that are longer than the width broken behind a `+` or `/`, or where
    there is none behind a `_`."""
    if _longest_word(text) <= width:
        return text
    lines = [""]
    parts = _PARTS.findall(text.plain)
    small = [[part] if cell_len(part) <= width else _SMALL_PARTS.findall(part) for part in parts]
    for part in itertools.chain(*small):
        fits = cell_len((lines[-1] + part).rstrip()) <= width
        lines = [*lines[:-1], lines[-1] + part] if fits else [*lines, part]
    return Text("\n".join(line.rstrip(" ") for line in lines if line), style=text.style)


def _longest_line(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _longest_word(text: Text) -> int:
    return max((cell_len(word) for word in text.plain.split()), default=1)
