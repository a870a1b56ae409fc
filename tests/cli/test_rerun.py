"""A run once more: printed, done in a worktree, or refused with what is missing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.recipes import SMALL

from casas_ray.records.ledger import Ledger
from casas_ray.records.run_record import RunRecord

REPOSITORY = Path(__file__).parents[2]
SETTINGS = [f"{name}={json.dumps(value)}" for name, value in SMALL.items()]


def trained(place: Path, root: Path, text_model: str) -> Path:
    """The folder of a run that a process trained, in a working folder of its own."""
    words = ["train", "milan_baseline", *SETTINGS, f"text.model={text_model}", "optim.epochs=1"]
    words += ["--machine", "debug", "--no-wandb", "--name", "first"]
    environment = {**os.environ, "CASAS_RAY_DATA": str(root), "PYTHONPATH": str(place)}
    command = [sys.executable, "-m", "casas_ray", *words]
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    return root / "runs" / "first"


def git(place: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=place, check=True, capture_output=True)


@pytest.fixture(scope="module")
def first(tmp_path_factory, data_root: Path, text_model: str) -> tuple[Path, Path]:
    """A checkout of our own code with a change to its commit, and a run that it trained."""
    place = tmp_path_factory.mktemp("checkout") / "project"
    packed = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("casas_ray", "tune_spaces", "cluster", "data/homes", "data/routines"):
        shutil.copytree(REPOSITORY / name, place / name, ignore=packed)
    git(place, "init", "-q")
    git(place, "-c", "core.autocrlf=false", "add", "-A")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    git(place, *who, "commit", "-q", "-m", "x")
    training = place / "casas_ray" / "training" / "loop.py"
    training.write_text(training.read_text() + "\n# a change\n")
    run = trained(place, tmp_path_factory.mktemp("rerun"), text_model)
    # What was changed since is not what trained it.
    training.write_text(training.read_text() + "\nraise SystemExit(9)\n")
    return place, run


def test_a_run_is_trained_again_with_its_code_and_comes_out_the_same(
    run, first: tuple[Path, Path], tmp_path: Path, monkeypatch
):
    place, folder = first
    monkeypatch.chdir(place)
    monkeypatch.setenv("CASAS_RAY_DATA", str(folder.parents[1]))
    code, out, err = run("rerun", folder, "--to", tmp_path / "again", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told == {"folder": str(tmp_path / "again" / "rerun"), "difference": None}
    text = (tmp_path / "again" / "casas_ray" / "training" / "loop.py").read_text()
    assert text.endswith("\n# a change\n")
    code, _, err = run("rerun", folder, "--to", tmp_path / "again")
    assert (code, "is there already" in err) == (8, True)


def test_the_commands_are_printed_for_another_place(run, first: tuple[Path, Path], monkeypatch):
    place, folder = first
    monkeypatch.chdir(place)
    code, out, err = run("rerun", folder, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["missing"] == []
    tree, changes, packages, train = told["commands"]
    assert tree == f"git worktree add --detach ../again {told['commit']}"
    assert "changes.diff" in changes
    assert f"torch=={told['packages']['torch']}" in packages
    assert train.startswith("casas-ray train milan_baseline ")
    assert "optim.epochs=1" in train
    # Read back, the words are the run's recipe.
    import shlex

    from casas_ray.catalog import find_base
    from casas_ray.config.base import parse_overrides, split_overrides

    words = [word for word in shlex.split(train) if "=" in word]
    changes, _, _ = split_overrides(parse_overrides(words))
    again = find_base("milan_baseline").replace(changes)
    assert again == RunRecord.read(folder).recipe


def test_what_is_missing_is_named_and_nothing_is_made(
    run, first: tuple[Path, Path], tmp_path: Path, monkeypatch
):
    place, folder = first
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    ledger = other / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    start = json.loads(lines[0])
    start["info"] |= {"git_commit": "0" * 40, "packages": {"torch": "1.0"}, "python": "2.7"}
    ledger.write_text(json.dumps(start) + "\n" + "".join(lines[1:]))
    (other / "code.zip").unlink()
    monkeypatch.chdir(place)
    code, _, err = run("rerun", other, "--to", tmp_path / "again")
    assert code == 8
    for said in ("commit 000000000000", "no code.zip was kept", "torch 1.0", "Python 2.7"):
        assert said in err
    assert not (tmp_path / "again").exists()
    assert run("rerun", other)[0] == 0


def test_what_was_never_trained_cannot_be_trained_again(run, tmp_path: Path, first):
    assert run("rerun", tmp_path)[0] == 3
    shutil.copy(first[1] / "run.json", tmp_path / "run.json")
    Ledger(tmp_path)
    code, _, err = run("rerun", tmp_path)
    assert (code, "was never started" in err) == (3, True)
