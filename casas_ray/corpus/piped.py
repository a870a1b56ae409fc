"""The lines of a log as they come, out of a file or a pipe."""

import codecs
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from casas_ray.corpus.detect import HEAD
from casas_ray.corpus.log_text import LONGEST_LINE, numbered_lines, refuse_no_file

Lines = list[tuple[int, str]]
"""With their numbers, counted from 1."""

_PIECE = 1 << 20


def coming_lines(path: Path) -> Iterator[Lines]:
    """The lines of a log, some at a time: of a pipe as soon as they come.

    Raises:
        DataError: as for `numbered_lines`, but for pipes.
    """
    refuse_no_file(path)
    if path.is_fifo():
        yield from _of_pipe(path)
        return
    lines = numbered_lines(path)
    while piece := list(islice(lines, HEAD)):
        yield piece


def _of_pipe(path: Path) -> Iterator[Lines]:
    number, rest = 0, ""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    with path.open("rb", buffering=0) as stream:
        while data := os.read(stream.fileno(), _PIECE):
            *whole, rest = (rest + decoder.decode(data)).split("\n")
            rest = rest[: LONGEST_LINE + 1]  # a line without an end must not fill the memory
            if whole:
                yield [
                    (number + index, line.rstrip("\r")[: LONGEST_LINE + 1])
                    for index, line in enumerate(whole, start=1)
                ]
                number += len(whole)
    if rest:
        yield [(number + 1, rest.rstrip("\r"))]
