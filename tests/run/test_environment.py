"""The token of a Ray that is started here, and which cluster is named."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from casas_ray.config import Machine
from casas_ray.errors import SettingsError
from casas_ray.run.environment import cluster_address, prepare_environment


@pytest.fixture(autouse=True)
def nobody_set_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("RAY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    # What is set below is forgotten with the test.
    monkeypatch.setattr(os, "environ", os.environ.copy())


def token() -> Path:
    return Path.home() / ".ray" / "auth_token"


def test_a_ray_that_is_started_here_has_a_token_that_nobody_else_may_read():
    before = os.umask(0)
    try:
        prepare_environment(Machine())
    finally:
        os.umask(before)
    assert len(token().read_text()) == 64
    assert stat.S_IMODE(token().stat().st_mode) == 0o600
    assert stat.S_IMODE(token().parent.stat().st_mode) == 0o700
    assert list(token().parent.iterdir()) == [token()]
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_token_that_is_there_stays_and_is_closed():
    token().parent.mkdir()
    token().write_text("old")
    token().chmod(0o644)
    prepare_environment(Machine())
    assert token().read_text() == "old"
    assert stat.S_IMODE(token().stat().st_mode) == 0o600


def test_commands_that_begin_at_once_agree_on_a_token():
    code = "from casas_ray.config import Machine\n"
    code += "from casas_ray.run.environment import prepare_environment, _token_file\n"
    code += "prepare_environment(Machine())\nprint(_token_file().read_text())"
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {each.communicate()[0].strip() for each in running}
    assert said == {token().read_text()}


def test_a_named_cluster_and_a_token_of_the_users_own_get_no_new_token(monkeypatch):
    prepare_environment(Machine(address="10.0.0.1:6379"))
    prepare_environment()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/elsewhere")
    prepare_environment(Machine())
    assert not token().exists()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_home_that_cannot_be_written_to_has_its_token_in_the_environment(tmp_path: Path):
    (tmp_path / "home" / ".ray").write_text("a file is in the way")
    prepare_environment(Machine())
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_a_cluster_is_one_that_is_named(monkeypatch: pytest.MonkeyPatch):
    assert cluster_address(Machine()) == ""
    assert cluster_address(Machine(address="h:1")) == "h:1"
    monkeypatch.setenv("RAY_ADDRESS", "r:1")
    assert cluster_address(Machine()) == "r:1"
    assert cluster_address(Machine(address="local")) == ""
    for machine in (Machine(address="auto"), Machine()):
        monkeypatch.setenv("RAY_ADDRESS", "auto")
        with pytest.raises(SettingsError, match="joins any Ray that is found here"):
            cluster_address(machine)
