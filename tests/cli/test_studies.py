"""What can be run, what of it lies on disk, and a file to begin one's own study with."""

import json
from pathlib import Path

import pytest
from support.studies import study_on_disk

from casas_ray.paths import runs


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    return tmp_path


def test_each_study_is_listed_with_its_trials_and_what_lies_on_disk(run):
    study_on_disk(runs() / "milan_ablation_mlm-milan-1", {"base": [0.3, 0.3], "a": [0.4, None]})
    code, out, err = run("studies", "--json")
    assert code == 0, err
    held = {each["name"]: each for each in json.loads(out)}
    mlm, other = held["milan_ablation_mlm"], held["milan_ablation_temperature"]
    assert (mlm["arms"], mlm["seeds"], mlm["trials"]) == (4, 6, 30)
    assert mlm["states"] == {"finished": 3, "diverged": 1}
    assert mlm["caveats"] == ["SIMULATED home", "quick"]
    assert (other["states"], "folder" in other) == ({}, False)
    code, out, _ = run("studies")
    assert "milan_ablation_mlm" in out
    assert "3 finished" in out


def test_a_study_of_the_current_folder_is_read_and_not_run(run, own_place: Path):
    (own_place / "tune_spaces").mkdir()
    (own_place / "tune_spaces" / "mine.py").write_text('"""Mine?"""\nraise SystemExit(9)\n')
    (own_place / "tune_spaces" / "torn.py").write_text("def")
    code, out, err = run("studies", "--json")
    assert code == 0, err
    held = {each["name"]: each for each in json.loads(out)}
    assert (held["mine"]["question"], held["mine"]["trials"]) == ("Mine?", None)
    assert held["torn"]["question"] == ""


def test_a_study_of_another_name_that_begins_alike_is_not_taken_for_it(run):
    study_on_disk(runs() / "milan_ablation_mlm-2", {"base": [0.3]})
    study_on_disk(runs() / "milan_ablation_mlm_of_mine-1", {"base": [0.3], "a": [0.4]})
    _, out, _ = run("studies", "--json")
    held = {each["name"]: each for each in json.loads(out)}
    assert held["milan_ablation_mlm"]["states"] == {"finished": 1}


def test_a_new_study_runs_as_it_is(run, own_place: Path):
    question = "How wide, for [bold]Haus Müller[/nope]?"
    code, out, err = run("new-study", "widths", "--question", question)
    assert (code, "casas-ray plan widths.py" in out) == (0, True), err
    code, out, err = run("plan", "widths.py", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert list(told["arms"]) == ["base", "learning_rate=1e-4", "learning_rate=0.001"]
    assert len(told["trials"]) == 18
    _, out, _ = run("plan", "widths.py")
    assert question in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["widths"], 8, "widths.py is there already"),
        (["milan_ablation_mlm"], 2, "there is a study 'milan_ablation_mlm' already"),
        (["../x"], 8, "would leave its folder"),
        (["fresh", "--base", "milan_tinny"], 2, "did you mean 'milan_tiny'?"),
        (["fresh", "--question", 'say "no"'], 2, "no quotes or backslashes"),
        (["fresh", "--question", "a\nb"], 2, "no quotes or backslashes"),
        (["fresh", "--question", " "], 2, "no quotes or backslashes"),
    ],
)
def test_nothing_is_overwritten_and_nothing_is_written_that_does_not_run(
    run, own_place: Path, words: list[str], code: int, said: str
):
    (own_place / "widths.py").write_text("mine")
    found, _, err = run("new-study", *words)
    assert (found, said in err) == (code, True), err
    assert (own_place / "widths.py").read_text() == "mine"
    assert not (own_place / "fresh.py").exists()
