"""Logs as they come packed and encoded, and what is refused: with what it has that no log has."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.log_forms import FORMS
from support.logs import ACTIVITIES, EVENTS, STAMP, lines, read, story

from casas_ray.errors import DataError

WESTERN = "Küche"


@pytest.mark.parametrize(
    ("encoding", "ends"),
    [
        ("utf-8", "\n"),
        ("utf-8-sig", "\r\n"),
        ("utf-8", "\r"),
        ("utf-16", "\r\n"),
        ("utf-16-le", "\n"),
        ("utf-16-be", "\r\n"),
        ("utf-32", "\n"),
        ("cp1252", "\n"),
        ("latin-1", "\r\n"),
    ],
)
def test_every_encoding_and_line_end_gives_the_story(tmp_path: Path, encoding: str, ends: str):
    text = lines().replace("M003", WESTERN).replace("\n", ends)
    (tmp_path / "log").write_bytes(text.encode(encoding))
    log, cleaned = read(tmp_path / "log")
    assert (log.total, log.rejected, len(cleaned.activities)) == (EVENTS, [], ACTIVITIES)
    assert WESTERN in cleaned.events.sensor.names
    assert cleaned.events.line.tolist() == list(range(1, EVENTS + 1))


def zipped(text: bytes, *names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return held.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda text: zipped(text, "home/log.txt"),
        lambda text: zipped(text, "log.txt", "__MACOSX/._log.txt"),
    ],
)
def test_a_packed_log_is_unpacked_whatever_its_name(tmp_path: Path, pack: Callable):
    (tmp_path / "log.txt").write_bytes(pack(lines().encode()))
    log, cleaned = read(tmp_path / "log.txt")
    assert (log.total, len(cleaned.activities)) == (EVENTS, ACTIVITIES)


def archived(text: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        about = tarfile.TarInfo("log.txt")
        about.size = len(text)
        archive.addfile(about, io.BytesIO(text))
    return held.getvalue()


def test_files_with_a_byte_order_mark_may_be_joined(tmp_path: Path):
    halves = (lines(told=story()[:168]), lines(told=story()[168:]))
    (tmp_path / "log").write_bytes(b"".join(half.encode("utf-8-sig") for half in halves))
    log, cleaned = read(tmp_path / "log")
    assert (log.rejected, len(cleaned.activities)) == ([], ACTIVITIES)


LIKE = "like the classic form, but for "


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it has no lines with text"),
    "blank": (b"\n \n", "it has no lines with text"),
    "a zip of two": (zipped(b"x", "a.txt", "b.txt"), "is a zip of 2 files: a.txt, b.txt"),
    "a torn gzip": (gzip.compress(lines().encode())[:-9], "ended before"),
    "a tar archive": (archived(lines().encode()), "is a tar archive"),
    "a packed tar archive": (gzip.compress(archived(lines().encode())), "is a tar archive"),
    "a Parquet file": (b"PAR1" + bytes(900), "is a Parquet file, not a log"),
    "a database": (b"SQLite format 3\0" + bytes(900), "is a SQLite database, not a log"),
    "an unknown zone": (
        lines(lambda told: f"{told.time:{STAMP}}_XYZ\t{told.sensor}\t{told.state}").encode(),
        f"{LIKE}`_XYZ` after the time",
    ),
    "an unknown separator": (
        lines(lambda told: f"{told.time:{STAMP}}~{told.sensor}~{told.state}").encode(),
        f"{LIKE}`~M00",
    ),
    "unknown states": (
        lines(lambda told: f"{told.time:{STAMP}}\t{told.sensor}\tTRIGGERED").encode(),
        f"{LIKE}`TRIGGERED` where it has a value",
    ),
    "no value": (
        lines(lambda told: f"{told.time:{STAMP}}\t{told.sensor}").encode(),
        "without a value after the sensor",
    ),
    "an unknown date": (
        lines(lambda told: f"{told.time:%Y-%j %H:%M:%S}\t{told.sensor}\t{told.state}").encode(),
        f"{LIKE}`2016-0",
    ),
    "another dialect from line 169 on": (
        (
            lines(told=story()[:168])
            + lines(lambda told: FORMS["T and Z"](told), told=story()[168:])
        ).encode(),
        "line 169 is of another form than the lines that were understood, and so are 168 of 336",
    ),
    "another layout from line 169 on": (
        (
            lines(told=story()[:168])
            + lines(
                lambda told: f"{told.time:{STAMP}}\tBedroom\tBed\t{told.state}", told=story()[168:]
            )
        ).encode(),
        "line 169 is of another form than the lines that were understood, and so are 168 of 336",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_says_what_the_file_has_that_no_log_has(tmp_path: Path, what: str):
    content, wanted = REFUSED[what]
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "log")
    assert wanted in caught.value.problem
    assert str(tmp_path / "log") in caught.value.problem


def test_what_is_no_file_is_named_for_what_it_is(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path, wanted in (
        (tmp_path / "pipe", "is a pipe, which can be read only once"),
        (tmp_path, "is a folder"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / "nowhere", "no such file"),
    ):
        with pytest.raises(DataError, match=wanted):
            read(path)


def test_a_few_lines_of_another_form_are_set_aside_with_their_reasons(tmp_path: Path):
    told = story()
    text = lines(told=told[:330]) + lines(FORMS["T and Z"], told=told[330:])
    (tmp_path / "log").write_text(text)
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), log.reasons()) == (
        330,
        {"written in another form than the rest": 6},
    )


def test_a_line_with_a_date_does_not_decide_a_log_of_seconds(tmp_path: Path):
    (tmp_path / "log").write_text("2016-03-08 08:00:00 M001\n" + lines(FORMS["seconds since 1970"]))
    log, cleaned = read(tmp_path / "log")
    assert (len(cleaned.events), len(cleaned.activities)) == (EVENTS, ACTIVITIES)
    assert len(log.rejected) == 1


def test_utf_16_that_begins_with_a_nul_is_utf_16(tmp_path: Path):
    (tmp_path / "log").write_bytes(("\0\0\n" + lines()).encode("utf-16"))
    log, _ = read(tmp_path / "log")
    assert log.reasons() == {"no date and time": 1}
