"""JSON files read value by value: arrays, JSON Lines, or a list inside an object; plain or gzipped.

Memory is bounded by the largest single value, whatever the file's size and however well it was
packed.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from casas_ray.errors import DataError
from casas_ray.files import require_plain, shown, why

_CHUNK = 1 << 20
_LONGEST_VALUE = 32 << 20
"""Characters of one window, or of a whole vocabulary."""

_SPACE = re.compile(r"[ \t\r\n]*")
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_LISTS = ("samples", "captions")

Json = Any  # Any: what JSON holds


def records(path: Path) -> Iterator[tuple[Json, str]]:
    """The records of a file one by one, each with where it stands in words.

    They are the items of a top-level array, the values of JSON Lines, or the items of the list
    `samples` or `captions` of one object.

    Raises:
        DataError: the file cannot be read, is torn, or a value is too large, nested too deep, or
            names a key twice.
    """
    with _opened(path) as stream:
        text = _Text(stream, path)
        opening = text.peek()
        if opening == "[" or (opening == "{" and text.starts_with_list()):
            yield from _items(text)
        else:
            yield from _lines(text)


def whole(path: Path) -> Json:
    """The one value of a small file.

    Raises:
        DataError: as for `records`, or there is more than one.
    """
    with _opened(path) as stream:
        text = _Text(stream, path)
        value = text.value(shown(path))
        if text.peek():
            raise text.torn("there is text after its end")
        return value


def _opened(path: Path) -> IO[bytes]:
    try:
        with require_plain(path).open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        # By its first bytes: the files of other pipelines are packed under any name.
        return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{shown(path)}: {why(error)}.",
            hint="check the path; nothing was written.",
        ) from None


def _items(text: "_Text") -> Iterator[tuple[Json, str]]:
    text.take("[")
    index = 0
    while text.peek() != "]":
        if index:
            text.take(",")
        where = f"{text.name}: sample {index}"
        yield text.value(where), where
        index += 1
    text.take("]")


def _lines(text: "_Text") -> Iterator[tuple[Json, str]]:
    index = 0
    while text.peek():
        where = f"{text.name}: line {index + 1}"
        yield text.value(where), where
        index += 1


class _Text:
    """The text of a file, read as far as it is needed and let go when it is used."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.name = shown(path)
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        # Python reads NaN and Infinity, which are not JSON.
        self._json = json.JSONDecoder(parse_constant=_constant)
        self._text, self._at, self._ended = "", 0, False
        self._kept: int | None = None
        """Where the text begins that must not be let go, while looking ahead."""

    def torn(self, why: object) -> DataError:
        """The error that this file is."""
        return DataError(
            f"{self.name} is not whole JSON: {why}.", hint="was the file cut short? write it again."
        )

    def peek(self) -> str:
        """The next character that is not space, or nothing at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_CHUNK):
                return ""

    def take(self, wanted: str) -> None:
        """Go past a character that has to come next."""
        if (character := self.peek()) != wanted:
            what = f"wanted '{wanted}', found {character!r}" if character else "it ends early"
            raise self.torn(what)
        self._at += 1

    def value(self, where: str) -> Json:
        """The next value.

        Raises:
            DataError: it is torn, too large, nested too deep, or names a key twice.
        """
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more_of_value():
                    continue
                raise DataError(
                    f"{where} is not whole JSON: {error.msg}.",
                    hint="was the file cut short? write it again.",
                ) from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where} is not whole JSON: {error}.") from None
            # A number that ends with the text at hand may go on: `12` of `123`.
            if end < len(self._text) or not self._more_of_value():
                break
        _refuse_odd(value, self._text, self._at, end, where)
        self._at = end
        return value

    def starts_with_list(self) -> bool:
        """Whether this is an object around a list of records; then the list comes next."""
        if self._pairs_before_list(come_back=True):
            self._pairs_before_list(come_back=False)
            return True
        return False

    def _pairs_before_list(self, *, come_back: bool) -> bool:
        self._kept = self._at if come_back else None
        self.take("{")
        list_comes = False
        while self.peek() == '"':
            key = self.value(self.name)
            self.take(":")
            if key in _LISTS:
                list_comes = not come_back or self._is_list_of_objects(key)
                break
            if key == "events" or key == "sensor_sequence":
                break
            self.value(self.name)
            if self.peek() != ",":
                break
            self.take(",")
        if self._kept is not None:
            self._at, self._kept = self._kept, None
        return list_comes

    def _is_list_of_objects(self, key: str) -> bool:
        if self.peek() != "[":
            return False
        if key == "samples":
            return True
        # A list of texts is the captions of one window; a list of objects, those of many.
        self._at += 1
        return self.peek() == "{"

    def _more_of_value(self) -> bool:
        # Twice as much each time: a value is parsed from its start again, and fixed steps would
        # make a large one quadratic.
        held = len(self._text) - self._at
        return held <= _LONGEST_VALUE and self._more(max(_CHUNK, held))

    def _more(self, size: int) -> bool:
        """Whether there was more text to read; what was used is let go."""
        if self._ended:
            return False
        try:
            data = self._stream.read(size)
            more = self._decoder.decode(data, final=not data)
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise DataError(f"{self.name} is not readable text: {error}.") from None
        self._ended = not data
        start = self._at if self._kept is None else self._kept
        self._text, self._at = self._text[start:] + more, self._at - start
        self._kept = None if self._kept is None else 0
        return bool(data)


def _constant(name: str) -> None:
    # Pandas has no other word for nothing, and json.dump writes it as it is.
    if name != "NaN":
        raise ValueError(f"{name} is not a JSON number")


def _refuse_odd(value: Json, text: str, start: int, end: int, where: str) -> None:
    """Refuse a key that comes twice and a string that is no text, which look whole once parsed.

    Raises:
        DataError: there is one.
    """
    # A cheap count first; parsed again only where colons and keys differ.
    if text.count('":', start, end) != _keys(value):
        json.loads(text[start:end], object_pairs_hook=lambda pairs: _once(pairs, where))
    if _HALF_OF_A_PAIR.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError(f"{where}: a string holds half of a surrogate pair.") from None


def _keys(value: Json) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(len(item) for item in value if isinstance(item, dict))
    return 0


def _once(pairs: list[tuple[str, Json]], where: str) -> dict[str, Json]:
    distinct = dict(pairs)
    if len(distinct) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"{where}: the key '{twice}' comes twice in one object.")
    return distinct
