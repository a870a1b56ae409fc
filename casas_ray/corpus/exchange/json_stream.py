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
from casas_ray.files import shown

_CHUNK = 1 << 20
_LONGEST_VALUE = 32 << 20
"""Characters of one window, or of a whole vocabulary."""

_SPACE = re.compile(r"[ \t\r\n]*")
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_LISTS = ("samples", "captions")


def records(path: Path) -> Iterator[tuple[Any, str]]:
    """(value, where it stands) for each item of a top-level array, each value of JSON Lines, or
    each item of the list `samples` or `captions` of one object.

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


def whole(path: Path) -> Any:
    """The one value of a small file.

    Raises:
        DataError: as `records`, or there is more than one.
    """
    with _opened(path) as stream:
        text = _Text(stream, path)
        value = text.value(shown(path))
        if text.peek():
            raise text.torn("there is text after its end")
        return value


def _opened(path: Path) -> IO[bytes]:
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise DataError(
            f"{shown(path)}: {error.strerror or error}.",
            hint="check the path; nothing was written.",
        ) from None


def _items(text: "_Text") -> Iterator[tuple[Any, str]]:
    text.take("[")
    index = 0
    while text.peek() != "]":
        if index:
            text.take(",")
        where = f"{text.name}: sample {index}"
        yield text.value(where), where
        index += 1
    text.take("]")


def _lines(text: "_Text") -> Iterator[tuple[Any, str]]:
    index = 0
    while text.peek():
        where = f"{text.name}: line {index + 1}"
        yield text.value(where), where
        index += 1


class _Text:
    """The text of a file, as much of it as is needed at a time."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.name = shown(path)
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_constant=_no_constant)
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
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_CHUNK):
                return ""

    def take(self, wanted: str) -> None:
        """Go past a character that has to come next."""
        if (found := self.peek()) != wanted:
            raise self.torn(f"wanted '{wanted}', found {found!r}" if found else "it ends early")
        self._at += 1

    def value(self, where: str) -> Any:
        """The next value."""
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
            if end < len(self._text) or not self._more_of_value():
                break
        _refuse_odd(value, self._text, self._at, end, where)
        self._at = end
        return value

    def starts_with_list(self) -> bool:
        """Whether this is an object around a list of records; then the list comes next."""
        if self._pairs_before_list(look=True):
            self._pairs_before_list(look=False)
            return True
        return False

    def _pairs_before_list(self, *, look: bool) -> bool:
        self._kept = self._at if look else None
        self.take("{")
        found = False
        while self.peek() == '"':
            key = self.value(self.name)
            self.take(":")
            if key in _LISTS:
                found = not look or self._is_list_of_objects(key)
                break
            if key == "events" or key == "sensor_sequence":
                break
            self.value(self.name)
            if self.peek() != ",":
                break
            self.take(",")
        if self._kept is not None:
            self._at, self._kept = self._kept, None
        return found

    def _is_list_of_objects(self, key: str) -> bool:
        if self.peek() != "[":
            return False
        if key == "samples":
            return True
        # A list of texts is the captions of one window; a list of objects, those of many.
        self._at += 1
        return self.peek() == "{"

    def _more_of_value(self) -> bool:
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


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_odd(value: Any, text: str, start: int, end: int, where: str) -> None:
    """Nothing, unless a key comes twice or a string is no text; both look whole once parsed."""
    if text.count('":', start, end) != _keys(value):
        json.loads(text[start:end], object_pairs_hook=lambda pairs: _once(pairs, where))
    if _HALF_OF_A_PAIR.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError(f"{where}: a string holds half of a surrogate pair.") from None


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(len(item) for item in value if isinstance(item, dict))
    return 0


def _once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"{where}: the key '{twice}' comes twice in one object.")
    return found
