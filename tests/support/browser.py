"""Pages opened in a browser without a window, where there is one."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NARROWEST = 500
"""Pixels of its narrowest window."""


def opened(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the browser says after a page's scripts have run; its console is in the error output."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-dev-shm-usage", f"--user-data-dir={page.parent / 'profile'}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=20000", *words, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)


class Seen(HTMLParser):
    """What a reader without scripts sees, and what would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.append(tag)
        names = ("src", "href", "srcset", "action")
        self.fetched += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["style"], ["script"]) and data.strip():
            self.texts.append(" ".join(data.split()))
