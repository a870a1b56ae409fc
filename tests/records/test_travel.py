"""What of a checkout may leave: no keys, and nothing that a link leads to."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from casas_ray.records.provenance import code_state, snapshot
from casas_ray.records.travel import travellers

CANARY = "canary-1234"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of one file, and the current folder."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q")
    (folder / "code.py").write_text("1\n")
    commit("code.py")
    return folder


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *words], check=True)


def commit(*names: str) -> None:
    git("add", "-f", *names)
    git("commit", "-qm", "x")


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "deep/.ENV",
        ".netrc",
        "key.pem",
        "id_rsa",
        "id_ed25519.bak",
        "credentials.json",
        ".aws/credentials",
        ".ssh/config",
        "secrets.yml",
        "innocent.txt",
    ],
)
def test_a_tracked_key_stays(checkout: Path, name: str):
    path = checkout / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n")
    commit(name)
    found = travellers(checkout)
    assert found is not None
    assert (found.free, found.keys) == (("code.py",), (name,))


@pytest.mark.parametrize("name", ["id_rsa.pub", ".env.example", "credentials.py", "environment.py"])
def test_what_only_sounds_like_a_key_may_leave(checkout: Path, name: str):
    (checkout / name).write_text("1\n")
    commit(name)
    found = travellers(checkout)
    assert found is not None
    assert name in found.free


def test_links_to_what_git_does_not_track_stay_and_others_may_leave(checkout: Path):
    outside = checkout.parent / "outside"
    outside.mkdir()
    (outside / "log.txt").write_text(CANARY)
    (checkout / "notes.txt").write_text(CANARY)
    (checkout / "out.txt").symlink_to(outside / "log.txt")
    (checkout / "untracked.txt").symlink_to("notes.txt")
    (checkout / "inside.txt").symlink_to("code.py")
    (checkout / "folder").mkdir()
    (checkout / "folder" / "log.txt").write_text("1\n")
    commit("out.txt", "untracked.txt", "inside.txt", "folder/log.txt")
    (checkout / "folder" / "log.txt").unlink()
    (checkout / "folder").rmdir()
    (checkout / "folder").symlink_to(outside)  # git lists what is in it all the same
    found = travellers(checkout)
    assert found is not None
    assert found.free == ("code.py", "inside.txt")
    assert found.links_out == ("folder/log.txt", "out.txt", "untracked.txt")


def test_a_snapshot_holds_no_key_and_nothing_from_outside(checkout: Path, tmp_path: Path):
    (checkout / ".env").write_text("1\n")
    (checkout / "deep").mkdir()
    (checkout / "deep" / "Key.pem").write_text("1\n")
    (tmp_path / "outside.txt").write_text(CANARY)
    (checkout / "out.txt").symlink_to(tmp_path / "outside.txt")
    commit(".env", "deep/Key.pem", "out.txt")
    (checkout / ".env").write_text(CANARY)
    (checkout / "deep" / "Key.pem").write_text(CANARY)
    (checkout / "code.py").write_text("2\n")
    code = snapshot(tmp_path / "run")
    assert code is not None
    with zipfile.ZipFile(code) as packed:
        texts = {name: packed.read(name).decode() for name in packed.namelist()}
    assert sorted(texts) == ["changes.diff", "code.py"]
    assert "+2" in texts["changes.diff"]
    assert CANARY not in "".join(texts.values())


def test_a_checkout_does_not_get_its_own_programs_run(checkout: Path, tmp_path: Path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for setting in ("core.fsmonitor", "diff.external", "diff.x.textconv", "diff.x.command"):
        git("config", setting, str(trap))
    hooks = checkout / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-index-change").symlink_to(trap)
    (checkout / ".git" / "info").mkdir(exist_ok=True)
    (checkout / ".git" / "info" / "attributes").write_text("*.py diff=x\n")
    (checkout / "code.py").write_text("2\n")
    assert code_state()["git_dirty"]
    assert snapshot(tmp_path / "run")
    assert travellers(checkout)
    assert not (tmp_path / "sprung").exists()
