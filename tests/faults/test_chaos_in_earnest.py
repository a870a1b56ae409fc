"""Chaos in earnest: the faults of a schedule befall a real study, and the certificate says what
they did; nothing is left, and an altered result is found out."""

import json
import re
from pathlib import Path

import pytest
from support.commands import Commands
from support.processes import running

from casas_ray.sealed import read_sealed

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_a_study_comes_out_of_chaos_equal_and_with_a_certificate(
    words: Commands, small_study: Path, tmp_path: Path
):
    folder = tmp_path / "chaos"
    line = ["chaos", small_study, "--seed", 3, "--output-dir", folder, "--json"]
    code = words.run(*line, "--minutes", 0.5)
    assert code == 0, words.err
    told = json.loads(words.out)
    assert told["equal"] is True
    assert told["trials_lost"] == []
    assert told["differences"] == {}
    assert len(told["faults"]) >= 2
    assert max(fault["steps_lost"] for fault in told["faults"]) <= 36
    assert read_sealed(folder / "certificate.json", hint="") == told
    assert not running("CASAS_RAY_CHAOS=")


def test_a_result_that_differs_is_exit_5(words: Commands, small_study: Path, tmp_path: Path):
    folder = tmp_path / "chaos"
    line = ["chaos", small_study, "--seed", 1, "--minutes", 0.4, "--machine", "debug"]
    line += ["--output-dir", folder]
    assert words.run(*line) == 0, words.err
    assert "result EQUAL to the undisturbed" in words.out
    ledger = folder / "undisturbed" / "base-seed0" / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"val/total_loss": ', '"val/total_loss": 1'))
    assert words.run(*line) == 5
    assert "NOT EQUAL" in words.out
    # A study that is done before the last fault is trained again, round after round.
    assert re.search(r"base-seed0( \(round 1\))?: val/total_loss at step", words.out)
