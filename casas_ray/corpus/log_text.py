"""The text of a log, whatever it comes packed or encoded in: numbered lines, as an editor shows
them."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from casas_ray.errors import DataError
from casas_ray.files import shown, why

LONGEST_LINE = 4096
LARGEST = 4 << 30
"""Bytes of a log, unpacked."""

_PIECE = 1 << 20
_HINT = "name a log file with --log PATH"
_TORN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_NO_TEXT = {
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "a SQLite database",
    b"\xd0\xcf\x11\xe0": "a file of an office program",
    b"MATLAB 5.0": "a MATLAB file",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BEYOND_ASCII = re.compile(rb"[A-Za-z_]*[\x80-\xff]+[A-Za-z_\x80-\xff]*")
# What Windows-1252 has for letters beyond ASCII; words of any other bytes are no words.
_WESTERN = re.compile(rb"[A-Za-z_\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff]+")


def refuse_no_file(path: Path) -> None:
    """Refuse what is neither a file nor a pipe, and say what it is.

    Raises:
        DataError: there is no such file, not any more, or it is a folder or a device.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            raise DataError(
                f"{shown(path)}: the log was {shown(path.readlink())}, and nothing lies there now.",
                hint="put it back, or name its new place with --log PATH",
            ) from None
        raise DataError(f"{shown(path)}: {why(error)}.", hint=_HINT) from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{shown(path)} is a folder.", hint="name the log in it with --log PATH")
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
        raise DataError(f"{shown(path)} is a device or a socket, not a log.", hint=_HINT)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a log, unpacked: plain, gzip, bzip2, xz, or the one file in a zip.

    Raises:
        DataError: it cannot be read, is torn, or is something else than text.
    """
    refuse_no_file(path)
    if path.is_fifo():  # a log is read more than once, and to open a pipe again waits for ever
        raise DataError(
            f"{shown(path)} is a pipe, which can be read only once.",
            hint="`casas-ray prepare HOME --log` keeps what comes out of one; elsewhere write it "
            "to a file first.",
        )
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
        with _unpacked(path, start) as stream:
            yield stream
    except _TORN as error:
        raise DataError(f"{shown(path)}: {why(error)}.", hint=_HINT) from None


@contextmanager
def _unpacked(path: Path, start: bytes) -> Iterator[IO[bytes]]:
    for mark, what in _NO_TEXT.items():
        if start.startswith(mark):
            raise DataError(f"{shown(path)} is {what}, not a log.", hint="wanted is plain text.")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(path) as archive, _only_member(path, archive) as stream:
            yield stream
        return
    opener = next((how for mark, how in _PACKED.items() if start.startswith(mark)), Path.open)
    with opener(path, "rb") as stream:
        # Text too, but for a heading that would swallow the log's first line.
        if stream.read(512)[257:262] == b"ustar":
            raise DataError(
                f"{shown(path)} is a tar archive.",
                hint="unpack it and name the log in it with --log PATH",
            )
        stream.seek(0)
        yield cast(IO[bytes], stream)


def _only_member(path: Path, archive: zipfile.ZipFile) -> IO[bytes]:
    members = [info for info in archive.infolist() if _is_content(info)]
    if len(members) != 1:
        names = ", ".join(info.filename for info in members[:5])
        raise DataError(
            f"{shown(path)} is a zip of {len(members)} files: {names or 'none'}.",
            hint="unpack it and name the log in it with --log PATH",
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{shown(path)} is locked with a password.", hint="unpack it first.")
    return archive.open(members[0])


def _is_content(info: zipfile.ZipInfo) -> bool:
    # A Mac packs its own notes beside every file.
    name = info.filename
    return not info.is_dir() and not name.startswith("__MACOSX/") and not name.endswith(".DS_Store")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every line with its number, counted from 1; a longer one than `LONGEST_LINE` is cut.

    Lines end with LF, CR LF or CR. Bytes that are no text come as lone surrogates.

    Raises:
        DataError: as for `opened`.
    """
    encoding = encoding_of(path)
    # One bad byte must not end the reading; wide encodings cannot carry it on.
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    with opened(path) as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(_Bounded(stream, path), _PIECE), encoding=encoding, errors=errors
        )
        # A line without an end must not fill the memory, so lines are read in bounded pieces.
        number = 0
        while piece := text.readline(LONGEST_LINE + 1):
            number += 1
            line = piece
            while not piece.endswith("\n") and (piece := text.readline(LONGEST_LINE)):
                pass
            # Files with a byte order mark that were joined have one in the middle.
            yield number, line.rstrip("\r\n").lstrip("\ufeff")


class _Bounded(io.RawIOBase):
    """A stream that ends with an error after `LARGEST` bytes, however well they were packed."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._read = stream, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > LARGEST:
            raise DataError(f"{shown(self._path)} does not end after {self._read:,} bytes.")
        buffer[: len(data)] = data
        return len(data)


def encoding_of(path: Path) -> str:
    """How the bytes of a log are text: by its mark, else UTF-8, UTF-16 or Windows-1252.

    Raises:
        DataError: as for `opened`.
    """
    with opened(path) as stream:
        start = stream.read(_PIECE)
        for mark, encoding in _MARKS.items():
            # The mark of UTF-16 and a NUL make that of UTF-32, whose letters end with two zeros.
            if start.startswith(mark) and not (mark == codecs.BOM_UTF32_LE and any(start[6:8])):
                return encoding
        if wide := _wide(start[:4096]):
            return wide
        return _narrow(start, stream)


def _wide(start: bytes) -> str:
    """UTF-16 without a mark: every second byte of western text is zero."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    most = len(start) * 0.3
    if odd > most and even < len(start) * 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > most and odd < len(start) * 0.05 else ""


def _narrow(start: bytes, stream: IO[bytes]) -> str:
    """UTF-8, or Windows-1252 where every word beyond ASCII is one of that and none of UTF-8."""
    words: set[bytes] = set()
    rest = b""
    while start:
        if rest.isascii() and start.isascii():  # most logs, and all of them
            rest, start = b"", stream.read(_PIECE)
            continue
        *whole, rest = re.split(rb"[\r\n]", rest + start)
        for line in whole:
            if not line.isascii():
                words.update(_BEYOND_ASCII.findall(line[:LONGEST_LINE]))
        rest = rest[:LONGEST_LINE]
        start = stream.read(_PIECE) if len(words) < 100_000 else b""
    words.update(_BEYOND_ASCII.findall(rest))
    return "cp1252" if words and all(map(_is_western, words)) else "utf-8"


def _is_western(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        # With an ASCII letter beside it: a stray byte alone is damage, not language.
        return bool(_WESTERN.fullmatch(word)) and any(byte < 0x80 for byte in word)
    return False
