"""A home's published log brought here: resumed where it stopped, checked, and never half there."""

import hashlib
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from casas_ray.corpus.detect import looks_like_a_log
from casas_ray.corpus.homes import Home
from casas_ray.errors import SettingsError, SetupError
from casas_ray.files import new_folder, private_folder, sha256_of, shown, write_json
from casas_ray.paths import raw

Progress = Callable[[int, int], None]
"""Bytes at hand, and bytes in all."""

TERMS = (
    "The CASAS logs are published by Washington State University (casas.wsu.edu) for research:",
    "cite their papers, and do not pass the logs on; casas_ray contains none of them.",
)
RELEASE = "https://zenodo.org/records/15708568/files/labeled_data.zip"
"""The release of 2025, one archive of 82 labelled homes: hh101 and so on."""

RELEASE_TERMS = (
    f"From CASAS's release of 2025, {RELEASE}: one archive of all homes, kept for the next one.",
    "Its page says CC BY 4.0: cite it.",
)
_RELEASED = re.compile(r"[a-z]{2,6}\d{1,4}")
_USUAL_NAME = "data.txt"
_PIECE = 1 << 18
_SECONDS = 30.0
_TRIES = 5
_LARGEST = 4 << 30
"""Bytes of an archive, and of what is unpacked from it."""


def released_home(name: str) -> Home | None:
    """A home of the release of 2025 by its name there, such as hh101; None for another name."""
    return Home(home=name, archive=RELEASE) if _RELEASED.fullmatch(name) else None


def fetch(home: Home, *, url: str = "", progress: Progress = lambda have, total: None) -> Path:
    """The home's log under `data/raw/HOME/`, downloaded unless it is there.

    A download that was cut off goes on where it stopped; when the file on the server has become
    another one meanwhile, it starts again.

    Raises:
        SettingsError: the address is none.
        SetupError: no network, refused, cut off again and again, or what came is not the log.
    """
    if url:
        _refuse_address(url)
    target = raw() / home.home
    log = target / (home.log_in_archive or _USUAL_NAME)
    if log.is_file():
        return log
    address = url or home.archive
    if not address:
        raise SetupError(f"nobody wrote where home '{home.home}' is published.", hint=by_hand(home))
    kept = raw() / f".{hashlib.sha256(address.encode()).hexdigest()[:12]}.archive"
    archive = kept if kept.is_file() else raw() / f".{home.home}.download"
    private_folder(archive.parent)
    if archive is not kept:
        _download(address, archive, home, progress)
    _unpack(archive, target, home)
    if archive is not kept:
        _about(archive).unlink(missing_ok=True)
        archive.replace(kept) if _holds_several(archive, home) else archive.unlink()
    return log


def _holds_several(archive: Path, home: Home) -> bool:
    """Whether an archive is one of many homes, which the next of them will want again."""
    if home.log_in_archive or not zipfile.is_zipfile(archive):
        return False
    with zipfile.ZipFile(archive) as packed:
        return len(_logs_in(packed)) > 1


def _logs_in(packed: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files in an archive that may be logs, by the name of the home that they are named by."""
    files = (info for info in packed.infolist() if not info.is_dir())
    files = (info for info in files if not info.filename.startswith("__MACOSX/"))
    return {PurePosixPath(info.filename).name.split(".")[0].lower(): info for info in files}


def _refuse_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        # Python would read local files at file: too.
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError(
            f"'{url:.200}' is no address of an archive.", hint="wanted http:// or https://"
        )


def by_hand(home: Home) -> str:
    """A hint: how to bring the log without us."""
    folder = shown(raw() / home.home)
    where = f"unpack it in {folder}/ (the log is {home.log_in_archive})"
    if not home.log_in_archive:
        where = f"put its log in {folder}/{_USUAL_NAME}"
    return (
        f"download {home.archive or 'it'} yourself and {where}, or `casas-ray prepare {home.home} "
        "--log PATH`"
    )


def _download(url: str, archive: Path, home: Home, progress: Progress) -> None:
    problem = ""
    for _ in range(_TRIES):
        before = archive.stat().st_size if archive.exists() else 0
        try:
            if _fetch_rest(url, archive, progress):
                return
            problem = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # what is here is longer than what is there
                archive.unlink(missing_ok=True)
                continue
            raise _failed(url, f"the server answers {error.code} {error.reason}", home) from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an odd host or header
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        if not archive.exists() or archive.stat().st_size <= before:
            break  # no byte came: trying again at once would bring none either
    raise _failed(url, problem, home)


def _failed(url: str, problem: str, home: Home) -> SetupError:
    return SetupError(f"{url} could not be fetched: {problem}.", hint=by_hand(home))


def _fetch_rest(url: str, archive: Path, progress: Progress) -> bool:
    """Whether the whole file is here now."""
    mark = _mark(archive)
    have = archive.stat().st_size if archive.exists() and mark else 0
    headers = {"Range": f"bytes={have}-", "If-Range": mark} if have else {}
    request = urllib.request.Request(url, headers={"User-Agent": "casas-ray", **headers})
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        # A server may ignore the range, or the file have changed: then all of it comes anew.
        goes_on = answer.status == 206 and _starts_at(answer, have)
        have = have if goes_on else 0
        total = have + _length_of(answer)
        if total > _LARGEST:
            raise OSError(f"it is {total:,} bytes; no home's log is so large")
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        # Before the first byte: what is cut off must know which version it is a part of.
        write_json(_about(archive), {"mark": mark})
        have = _copy(answer, archive, have, total, progress, append=goes_on)
    return have >= total if total else True


def _length_of(answer: HTTPResponse) -> int:
    said = answer.headers.get("Content-Length") or "0"
    # What int() takes besides digits, no server means; and it refuses very long numbers.
    if not (said.isascii() and said.isdigit() and len(said) < 20):
        raise OSError(f"the server says its length is {said:.40}")
    return int(said)


def _starts_at(answer: HTTPResponse, have: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _copy(
    answer: HTTPResponse, archive: Path, have: int, total: int, progress: Progress, *, append: bool
) -> int:
    with archive.open("ab" if append else "wb") as out:
        while piece := answer.read(_PIECE):
            out.write(piece)
            have += len(piece)
            if have > _LARGEST:  # whatever length the server promised
                raise OSError(f"it does not end after {have:,} bytes")
            progress(have, max(have, total))
    return have


def _about(archive: Path) -> Path:
    return archive.with_name(archive.name + ".json")


def _mark(archive: Path) -> str:
    """What the server called the version that was begun; empty when it gave it no name."""
    try:
        return str(json.loads(_about(archive).read_text(encoding="utf-8"))["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _unpack(archive: Path, target: Path, home: Home) -> None:
    problem = ""
    try:
        if home.archive_sha256 and sha256_of(archive) != home.archive_sha256:
            problem = "its SHA-256 is not the published one"
        else:
            name = home.log_in_archive or _USUAL_NAME
            with new_folder(target) as draft:
                _take_log(archive, draft / name, home)
                _check_lines(draft / name, home)
            if not (target / name).is_file():
                problem = f"{shown(target)} is in the way"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        problem = str(error)
    if problem:
        # What is wrong here would be wrong again when resumed.
        if "in the way" not in problem:
            archive.unlink(missing_ok=True)
            _about(archive).unlink(missing_ok=True)
        raise SetupError(
            f"what came for home '{home.home}' is not its log: {problem}.", hint=by_hand(home)
        )


def _take_log(archive: Path, path: Path, home: Home) -> None:
    """Put the home's log from what came into the path.

    Raises:
        ValueError: there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not home.log_in_archive and not zipfile.is_zipfile(archive):
        if not looks_like_a_log(archive):
            raise ValueError("it is neither a zip file nor a log")
        shutil.copyfile(archive, path)
        return
    with zipfile.ZipFile(archive) as packed:
        # Only the one file that the home's facts name: names in an archive may lead out of the
        # folder.
        info = _member(packed, home)
        if info.file_size > _LARGEST:
            raise ValueError(f"its log would be {info.file_size:,} bytes")
        with packed.open(info) as source, path.open("wb") as out:
            shutil.copyfileobj(source, out, _PIECE)
            os.fsync(out.fileno())


def _member(packed: zipfile.ZipFile, home: Home) -> zipfile.ZipInfo:
    if home.log_in_archive:
        names = {info.filename: info for info in packed.infolist()}
        if home.log_in_archive not in names:
            raise ValueError(f"there is no {home.log_in_archive} in it")
        return names[home.log_in_archive]
    logs = _logs_in(packed)
    if home.home.lower() in logs:
        return logs[home.home.lower()]
    if len(logs) == 1:
        return next(iter(logs.values()))
    raise ValueError(f"it has logs of {', '.join(sorted(logs)[:100])}, and none of {home.home}")


def _check_lines(path: Path, home: Home) -> None:
    """Refuse a log of another length than was published: whoever packed it may have cut it short.

    Raises:
        ValueError: it has more lines, or fewer.
    """
    if not home.log_lines:
        return
    with path.open("rb") as stream:
        lines = sum(1 for _ in stream)
    if lines != home.log_lines:
        raise ValueError(f"its log has {lines:,} lines; {home.log_lines:,} were published")
