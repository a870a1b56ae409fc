"""Pages opened in a browser without a window, where there is one."""

import shutil
import subprocess
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
