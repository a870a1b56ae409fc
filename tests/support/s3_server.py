"""An S3 server of this machine (moto's), where it is installed."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pyarrow import fs

from support.nodes import answers, free_ports
from support.waiting import wait_until

KEYS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def bucket() -> Iterator[str]:
    """The address of an empty bucket; KEYS must be in the environment of who uses it."""
    with server() as (address, _):
        yield address


@contextlib.contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen]]:
    """The same, and the server's process."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    env = {**os.environ, **KEYS}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet)
    try:
        wait_until(lambda: answers(port), process=process)
        place = f"endpoint_override=127.0.0.1:{port}&scheme=http"
        made, _ = fs.FileSystem.from_uri(f"s3://runs?{place}&allow_bucket_creation=true")
        made.create_dir("runs")
        yield f"s3://runs/of/mine?{place}", process
    finally:
        process.kill()
        process.wait(timeout=60)
