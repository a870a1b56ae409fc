"""Fetching a published log from servers that drop, truncate and lie. The logs are synthetic."""

import http.server
import io
import threading
import zipfile
from collections.abc import Iterator

import pytest

from casas_ray.corpus.download import RELEASE, fetch, released_home
from casas_ray.corpus.homes import Home
from casas_ray.errors import SettingsError, SetupError
from casas_ray.paths import raw

LINES = 20_000
LOG = b"2009-10-16 08:00:00\tM012\tON\n" * LINES


def packed(log: bytes = LOG, name: str = "here/data", *, stored: bool = True) -> bytes:
    held = io.BytesIO()
    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(held, "w", kind) as out:
        out.writestr(name, log)
        out.writestr("../escaped", b"no")
    return held.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves one archive on loopback, with the faults that a test asks for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.tag = '"one"'
        self.drop_after = 0
        """Bytes of an answer after which the connection is cut; 0 never cuts."""
        self.claims_more = 0
        self.says_length = ""
        """In place of the length, when not empty."""
        self.status = 0
        self.starts: list[int] = []
        """The first byte of every answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/home.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, content = self.server, self.server.content
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        asked = self.headers.get("Range")
        if asked and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        server.starts.append(start)
        rest = content[start:]
        self.send_header("ETag", server.tag)
        length = server.says_length or str(len(rest) + server.claims_more)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(rest[: server.drop_after] if server.drop_after else rest)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(packed()) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()


@pytest.fixture
def home(request: pytest.FixtureRequest) -> Home:
    return Home(home=f"fetched{abs(hash(request.node.name)) % 10**8}", log_in_archive="here/data")


def left_in(home: Home) -> list[str]:
    return sorted(path.name for path in raw().glob(f"*{home.home}*"))


def test_a_log_is_downloaded_unpacked_and_not_downloaded_again(server: Server, home: Home):
    seen: list[tuple[int, int]] = []
    log = fetch(home, url=server.url, progress=lambda have, total: seen.append((have, total)))
    assert log == raw() / home.home / "here" / "data"
    assert log.read_bytes() == LOG
    assert seen[-1] == (len(server.content), len(server.content))
    assert fetch(home, url=server.url) == log
    assert server.starts == [0]
    assert left_in(home) == [home.home]
    assert not list(raw().parent.rglob("escaped"))


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(server: Server, home: Home):
    server.drop_after = len(server.content) // 3
    log = fetch(home, url=server.url)
    assert log.read_bytes() == LOG
    third = server.drop_after
    assert server.starts[:3] == [0, third, 2 * third]


def test_a_later_call_goes_on_too_and_a_changed_archive_starts_again(server: Server, home: Home):
    server.drop_after = 10_000
    with pytest.raises(SetupError, match="the connection was cut") as caught:
        fetch(home, url=server.url)
    assert caught.value.exit_code == 4
    assert "unpack it in" in caught.value.hint
    server.drop_after, before = 0, len(server.starts)
    server.content, server.tag = packed(LOG + b"2009-10-17 08:00:00\tM012\tON\n"), '"two"'
    assert fetch(home, url=server.url).read_bytes().startswith(LOG)
    assert server.starts[before:] == [0]


def test_a_server_that_promises_more_than_it_has_is_not_believed(server: Server, home: Home):
    server.claims_more = 1000
    with pytest.raises(SetupError):
        fetch(home, url=server.url)
    assert not (raw() / home.home).exists()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"<html>Please log in</html>", "not a zip file"),
        (packed()[:-100], "not a zip file"),
        (packed(name="other/file"), "there is no here/data in it"),
        (packed()[:2000] + b"\x00" * 500 + packed()[2500:], "Bad CRC-32"),
    ],
)
def test_what_is_not_the_log_is_named_and_removed(
    server: Server, home: Home, content: bytes, wanted: str
):
    server.content = content
    with pytest.raises(SetupError) as caught:
        fetch(home, url=server.url)
    assert wanted in caught.value.problem
    assert left_in(home) == []


def test_a_log_with_another_number_of_lines_or_another_hash_is_refused(server: Server, home: Home):
    for facts, wanted in (
        ({"log_lines": LINES + 1}, "its log has 20,000 lines; 20,001 were published"),
        ({"archive_sha256": "0" * 64}, "its SHA-256 is not the published one"),
    ):
        with pytest.raises(SetupError) as caught:
            fetch(home.replace(facts), url=server.url)
        assert wanted in caught.value.problem
        assert left_in(home) == []


def test_an_error_of_the_server_and_no_server_say_so(server: Server, home: Home):
    server.status = 403
    with pytest.raises(SetupError, match="the server answers 403 Forbidden"):
        fetch(home, url=server.url)
    with pytest.raises(SetupError, match="could not be fetched"):
        fetch(home, url="http://127.0.0.1:9/home.zip")


def several(*homes: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        for name in homes:
            out.writestr(f"labeled/{name}.csv", LOG)
    return held.getvalue()


def test_homes_of_one_release_come_from_one_archive_that_is_downloaded_once(server: Server):
    server.content = several("rel101", "rel102", "rel103")
    for name in ("rel101", "rel102"):
        log = fetch(Home(home=name), url=server.url)
        assert log == raw() / name / "data.txt"
        assert log.read_bytes() == LOG
    assert server.starts == [0]
    with pytest.raises(SetupError, match="logs of rel101, rel102, rel103, and none of rel999"):
        fetch(Home(home="rel999"), url=server.url)


def test_an_address_of_a_log_itself_will_do_and_of_a_page_will_not(server: Server, home: Home):
    bare = home.replace({"log_in_archive": ""})
    server.content = LOG
    assert fetch(bare, url=server.url).read_bytes() == LOG
    server.content = b"<html>Please log in</html>"
    with pytest.raises(SetupError, match="it is neither a zip file nor a log"):
        fetch(bare.replace({"home": f"{home.home}page"}), url=f"{server.url}?page")


def test_the_release_of_2025_goes_by_the_names_of_its_homes():
    found = released_home("hh101")
    assert found is not None
    assert (found.archive, found.log_in_archive) == (RELEASE, "")
    assert released_home("no home") is None


@pytest.mark.parametrize("length", ["many", "-1", "1_000", "1e3", "9" * 5000, "²"])
def test_a_length_that_is_no_number_is_one_line(server: Server, home: Home, length: str):
    server.says_length = length
    with pytest.raises(SetupError, match="the server says its length is"):
        fetch(home, url=server.url)


@pytest.mark.parametrize(
    "url", ["notaurl", "file:///etc/hostname", "ftp://x/y", "http://", "http://[::1", "http://a:b/"]
)
def test_what_is_no_address_on_the_web_is_refused(home: Home, url: str):
    with pytest.raises(SettingsError, match="is no address of an archive"):
        fetch(home, url=url)


@pytest.mark.parametrize("url", [f"http://{'x' * 300}/", "http://a b/", "http://127.0.0.1:1/x"])
def test_an_address_of_nobody_is_one_line(home: Home, url: str):
    with pytest.raises(SetupError, match="could not be fetched"):
        fetch(home, url=url)
