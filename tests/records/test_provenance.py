"""Which code made a run: known where the command runs, unknown where nobody can know."""

import json
import subprocess
from pathlib import Path

import pytest

from casas_ray.records.provenance import (
    UNKNOWN_CODE,
    code_file,
    code_state,
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "code.py").write_text("x = 1\n")
    git("init", "-q")
    git("add", "code.py")
    git("commit", "-qm", "one")
    return folder


def git(*words: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_outside_a_repository_and_before_a_commit_it_is_unknown(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code_state() == UNKNOWN_CODE
    git("init", "-q")
    assert code_state() == UNKNOWN_CODE
    assert "" not in UNKNOWN_CODE.values()
    assert False not in UNKNOWN_CODE.values()


def test_a_commit_and_what_differs_from_it_are_told(repository: Path):
    clean = code_state()
    assert clean == {"git_commit": git("rev-parse", "HEAD"), "git_dirty": False, "git_changes": ""}
    changes = set()
    for number in (2, 3):
        (repository / "code.py").write_text(f"x = {number}\n")
        state = code_state()
        assert state["git_dirty"] is True
        changes.add(state["git_changes"])
    assert len(changes) == 2  # two states of one commit are not the same code


def test_where_git_is_not_installed_it_is_unknown(repository: Path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert code_state() == UNKNOWN_CODE


def test_a_job_knows_from_the_copy_that_was_sent(repository: Path, tmp_path: Path, monkeypatch):
    known = code_state()
    job = tmp_path / "working_dir_files" / "_ray_pkg"
    job.mkdir(parents=True)
    name, content = code_file()
    (job / name).write_bytes(content)
    monkeypatch.chdir(job)
    assert code_state() == known
    for content in ("", "[]", "null", '{"git_commit": "x"}', json.dumps(dict.fromkeys(known, 7))):
        (job / name).write_text(content)
        assert code_state() == UNKNOWN_CODE
    (job / name).unlink()
    assert code_state() == UNKNOWN_CODE
