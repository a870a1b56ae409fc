"""A search over ranges: seeded, told the mean over seeds, and taken up wherever it was ended."""

import json
import os
import signal
from pathlib import Path

import pytest
from support.commands import Commands, commands
from support.recipes import SMALL
from support.waiting import wait_until

from casas_ray.errors import SettingsError
from casas_ray.paths import runs
from casas_ray.records.search_record import SEARCH_FILE
from casas_ray.records.study_record import read_study
from casas_ray.study import Study, choice, loguniform, randint, uniform

pytest.importorskip("optuna")
WORDS = ("--search", "optuna", "--machine", "debug", "--no-wandb", "--json")


def study_file(folder: Path, text_model: str, *, high: float = 1e-2) -> Path:
    base = {**SMALL, "text.model": text_model, "optim.epochs": 1}
    path = folder / "searched.py"
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, choice, loguniform\n"
        f"BASE = Recipe(name='small').replace({base!r})\n"
        "STUDY = Study(question='Where?', base=BASE, arms=[], seeds=(0, 1), ranges={\n"
        f"    'optim.learning_rate': loguniform(1e-4, {high}), 'model.layers': choice([1, 2])}})\n"
    )
    return path


@pytest.fixture
def own_data(tmp_path: Path, data_root: Path, monkeypatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    return tmp_path


def drawn_in(data: Path) -> list[dict]:
    (path,) = (data / "runs").glob(f"searched-*/{SEARCH_FILE}")
    return json.loads(path.read_text())["drawn"]


def test_arms_are_drawn_trained_with_every_seed_and_their_mean_is_told(
    run, own_data: Path, text_model: str
):
    study = study_file(own_data, text_model)
    code, out, err = run("tune", study, *WORDS, "--trials", 3)
    assert code == 0, err
    drawn = drawn_in(own_data / "data")
    assert len(drawn) == 3
    table = {row["arm"]: row for row in json.loads(out)["arms"]}
    for each in drawn:
        assert 1e-4 <= each["values"]["optim.learning_rate"] <= 1e-2
        assert each["values"]["model.layers"] in (1, 2)
        row = table[each["arm"]]
        assert row["statuses"] == {"finished": 2}  # the seed is an axis, never drawn
        assert each["mean"] == pytest.approx(row["metrics"]["val/recall_mean"]["mean"])
    # Again: nothing is trained twice. With more: the same three, and then others.
    (folder,) = runs().glob("searched-*")
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("*/ledger.jsonl")}
    code, _, err = run("tune", study, *WORDS, "--trials", 4)
    assert code == 0, err
    assert drawn_in(own_data / "data")[:3] == drawn
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    # Other ranges are another search.
    code, _, err = run("tune", study_file(own_data, text_model, high=0.1), *WORDS)
    assert code == 8
    assert "optim.learning_rate was 0.0001 to 0.01, by factors, is 0.0001 to 0.1" in err


@pytest.mark.slow
def test_a_search_killed_at_any_moment_draws_and_finds_the_same(own_data: Path, text_model: str):
    whole, killed = own_data / "whole", own_data / "killed"
    study = study_file(own_data, text_model)
    words = ("tune", study, *WORDS, "--trials", 4)
    with commands(own_data / "one", {"CASAS_RAY_DATA": str(whole)}) as undisturbed:
        assert undisturbed.run(*words) == 0, undisturbed.err
    with commands(own_data / "two", {"CASAS_RAY_DATA": str(killed)}) as disturbed:
        for count in (1, 3):
            _kill_when_begun(disturbed, words, killed, arms=count)
        assert disturbed.run(*words) == 0, disturbed.err
    assert drawn_in(killed) == drawn_in(whole)
    results = []
    for root in (whole, killed):
        (folder,) = (root / "runs").glob("searched-*")
        results.append({cell: run.best() for cell, run in read_study(folder).results().items()})
        for run_folder in folder.glob("*-seed*"):
            text = (run_folder / "ledger.jsonl").read_text()
            assert text.count('"status": "finished"') == 1
    assert results[0] == results[1]


def _kill_when_begun(
    disturbed: Commands, words: tuple[object, ...], data: Path, *, arms: int
) -> None:
    process = disturbed.start(*words)

    def has_begun() -> bool:
        # The base has two ledgers; each arm that was drawn at least one more.
        return len(list((data / "runs").glob("searched-*/*/ledger.jsonl"))) >= 2 + arms

    wait_until(has_begun, process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ("path", "values", "said"),
    [
        ("seed", randint(0, 3), "seed cannot be searched over"),
        ("data.windows.length", randint(10, 20), "what all trials of a search share"),
        ("optim.learning_rat", uniform(0.1, 0.2), "unknown setting 'optim.learning_rat'"),
        ("model.dropout", uniform(0.1, 1.5), "model.dropout"),
        ("model.heads", choice([2, 7]), "does not divide"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused_when_the_file_is_read(path, values, said):
    from tune_spaces.bases import milan_tiny

    with pytest.raises(SettingsError, match=said):
        Study("Where?", milan_tiny(), [], ranges={path: values})


@pytest.mark.parametrize(
    "make",
    [
        lambda: uniform(2, 1),
        lambda: loguniform(0, 1),
        lambda: randint(1.5, 2),
        lambda: choice([1]),
        lambda: uniform(float("nan"), 1),
    ],
)
def test_a_range_that_is_none_is_refused(make):
    with pytest.raises(SettingsError):
        make()


def test_a_study_without_ranges_cannot_be_searched(run, own_data: Path):
    code, _, err = run("tune", "milan_ablation_mlm", "--simulated", "--quick", *WORDS)
    assert (code, "has no ranges to search" in err) == (2, True), err
    code, _, err = run("tune", "milan_ablation_mlm", "--scheduler", "asha", "--machine", "debug")
    assert (code, "machine debug has no such" in err) == (2, True), err
