"""A full disk: one line, and the same command goes on when there is room."""

import json
import subprocess
from pathlib import Path

import pytest
from support.recipes import WORDS

from casas_ray.corpus.alignment import PreparedSet


def test_a_simulation_on_a_full_disk_ends_in_one_line(run, small_disk: Path, monkeypatch):
    monkeypatch.setenv("CASAS_RAY_DATA", str(small_disk))
    code, _, err = run("simulate", "milan", "--days", 3)
    # On a busy machine a line says before that it simulates.
    assert code == 4
    assert err.splitlines()[-2] == "casas-ray: a disk is full; what was written before is whole."
    assert not list(small_disk.rglob("data"))


@pytest.mark.faults
def test_a_training_on_a_full_disk_goes_on_when_there_is_room(
    run, small_disk: Path, text_model: str, small_set: PreparedSet, small_vectors
):
    words = ["train", "milan_baseline", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    words += ["--no-wandb", "--json", "--output-dir", small_disk / "run"]
    code, _, err = run(*words)
    assert code == 4, err
    assert "a disk is full" in err
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    code, out, err = run(*words)
    assert code == 0, err
    assert json.loads(out)["status"] == "finished"
