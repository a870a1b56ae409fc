"""What a file that is no log is told: what its lines have that no dialect has."""

import re
from collections.abc import Sequence
from pathlib import Path

from casas_ray.corpus.stamps import STAMP
from casas_ray.errors import DataError
from casas_ray.files import shown

_CLASSIC = "`2009-10-16 03:55:50.000029 M021 OFF Sleep end`"
_LONGEST = 60
_DATE = re.compile(r"\S*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")


def unlike(path: Path, texts: Sequence[str]) -> DataError:
    """The refusal of a file whose first lines fit no dialect."""
    lines = [text.strip() for text in texts if text.strip()]
    if not lines:
        return DataError(f"{shown(path)}: it has no lines with text.", hint="is it the right file?")
    # The second often tells more: the first may be a heading.
    line = lines[len(lines) // 2] if len(lines) > 2 else lines[-1]
    return DataError(
        f"{shown(path)}: its first {len(texts)} lines look like no CASAS log: {differs(line)}.",
        hint=f"wanted lines such as {_CLASSIC}; found `{short(line)}`",
    )


def differs(line: str) -> str:
    """What a line has that the classic form has not."""
    if not line.isprintable() and "\t" not in line:
        return "they hold characters that are no text"
    stamp = re.match(STAMP.pattern, line)
    if stamp is None:
        return _before_time(line)
    rest = line[stamp.end() :]
    if rest and not rest[0].isspace() and rest[0] not in ",;|":
        odd = re.split(r"[\s,;|]", rest, maxsplit=1)[0]
        return f"like the classic form, but for `{short(odd)}` after the time"
    columns = [column for column in re.split(r"[\s,;|]+", rest) if column]
    if len(columns) < 2:
        return "like the classic form, but without a value after the sensor"
    values = f"`{short(columns[1])}`"
    return (
        f"like the classic form, but for {values} where it has a value (ON, OFF, OPEN, CLOSE, "
        "PRESENT, ABSENT or a number)"
    )


def _before_time(line: str) -> str:
    first = re.split(r"[\s,;|]", line, maxsplit=1)[0]
    if found := _DATE.match(line):
        after = line[found.end() :].strip().split(" ")[0]
        return f"like the classic form, but for `{short(found[0] + ' ' + after)}` as its time"
    return f"like the classic form, but for `{short(first)}` where it has date and time"


def partly(path: Path, first: tuple[int, str], unfit: int, total: int) -> DataError:
    """The refusal of a file that one dialect fits in part only, with the first line it does not."""
    number, text = first
    return DataError(
        f"{shown(path)}: line {number} is of another form than the lines that were understood, and "
        f"so are {unfit:,} of {total:,}: `{short(text)}`.",
        hint="are several files joined in it? bring them one by one, or take those lines out.",
    )


def short(text: str) -> str:
    """The start of a text that may be long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
