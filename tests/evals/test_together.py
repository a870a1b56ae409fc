"""Which runs are averaged, which are rows, and which are refused."""

import json
import shutil
from pathlib import Path

import pytest

from casas_ray.config import Recipe, Tracking
from casas_ray.errors import RefusedError
from casas_ray.evals.together import together
from casas_ray.records.ledger import Ledger
from casas_ray.records.run_record import RunRecord

SIMULATED = {"caveats": ["SIMULATED home"], "fingerprint": "f", "galleries": {"test": "g"}}


def run_of(
    folder: Path,
    changes: dict | None = None,
    *,
    about: dict | None = None,
    status: str = "finished",
    arm: str = "",
    quick: bool = False,
) -> Path:
    """A run as its ledger and `run.json` tell of it."""
    recipe = Recipe().replace(changes or {})
    RunRecord(folder.name, folder, recipe, Tracking(), arm=arm, quick=quick).write()
    ledger = Ledger(folder)
    ledger.append("start", 0, info={**SIMULATED, **(about or {})})
    ledger.append("metrics", 1, metrics={"val/recall_mean": 0.1})
    ledger.append("checkpoint", 1, is_best=True)
    if status != "running":
        ledger.append("end", 1, status=status)
    return folder


def test_seeds_of_one_recipe_are_averaged_and_other_recipes_are_rows(tmp_path: Path):
    runs = [
        run_of(tmp_path / "a", arm="base"),
        run_of(tmp_path / "b", {"loss.mlm_weight": 1.0}, arm="more", quick=True),
        run_of(tmp_path / "c", {"seed": 1, "name": "another label"}, arm="base"),
    ]
    groups = together(runs, split="test")
    assert [[run.folder.name for run in seeds] for seeds in groups] == [["a", "c"], ["b"]]
    assert [seeds[0].label for seeds in groups] == ["base", "more"]
    assert groups[1][0].caveats == ("SIMULATED home", "quick")


@pytest.mark.parametrize(
    ("changes", "about", "problem"),
    [
        ({}, {"caveats": []}, "one home is SIMULATED, the other is not"),
        ({"data.homes": ["aruba"]}, {}, "are of other homes"),
        ({"seed": 1}, {"galleries": {"test": "h"}}, "are judged on other windows or captions"),
        ({"seed": 1}, {"galleries": {}, "fingerprint": "e"}, "are judged on other windows"),
        ({}, {}, "are one recipe with one seed, 0"),
    ],
)
def test_what_does_not_compare_is_refused_and_named(
    tmp_path: Path, changes: dict, about: dict, problem: str
):
    first = run_of(tmp_path / "first")
    second = run_of(tmp_path / "second", changes, about=about)
    with pytest.raises(RefusedError, match=problem) as caught:
        together([first, second], split="test")
    assert str(first) in caught.value.problem
    assert str(second) in caught.value.problem


@pytest.mark.parametrize("status", ["running", "failed", "diverged", "stopped"])
def test_a_run_that_has_not_finished_is_refused(tmp_path: Path, status: str):
    with pytest.raises(RefusedError, match=f"has not finished: its ledger says {status}"):
        together([run_of(tmp_path / "run", status=status)], split="test")


def test_an_unfinished_run_has_no_verdict_frozen(run, whole_run: Path, tmp_path: Path):
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    (folder / "ledger.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    for command in ("evaluate", "probe"):
        code, out, err = run(command, folder)
        assert (code, out) == (8, "")
        assert "has not finished: its ledger says running" in err
    assert not (folder / "test.json").exists()


def test_a_study_is_evaluated_whole_and_its_table_says_so(run, study: Path):
    words = ["--machine", "debug", "--no-wandb"]
    _, out, _ = run("tune", study, *words, "--json", "--fresh")
    folder = Path(json.loads(out)["folder"])
    assert json.loads((folder / "results.json").read_text())["test_days_looked_at"] == []
    code, out, _ = run("table", folder)
    assert "the test days have not been looked at" in " ".join(out.split())
    code, out, _ = run("probe", folder, "--json")
    assert code == 0
    assert json.loads(out)["arms"][0]["seeds"] == 2
    assert not list(folder.glob("*/test.json"))
    code, out, _ = run("evaluate", folder)
    assert code == 0
    assert "2 seeds" in out
    assert "SIMULATED home" in out
    assert "none, for there is one day only" in " ".join(out.split())
    code, out, _ = run("evaluate", folder, "--json")
    told = json.loads(out)
    assert told["caveats"] == ["SIMULATED home"]
    (arm,) = told["arms"]
    assert (arm["arm"], arm["seeds"], len(arm["runs"])) == ("base", 2, 2)
    assert arm["columns"]["trained"]["test/recall_mean"]["count"] == 2
    _, out, _ = run("table", folder)
    assert "THE TEST DAYS HAVE BEEN LOOKED AT: base-seed0 at step" in " ".join(out.split())
    held = json.loads((folder / "results.json").read_text())["test_days_looked_at"]
    assert [text.partition(" ")[0] for text in held] == ["base-seed0", "base-seed1"]


def test_quick_is_said_of_a_verdict_and_of_a_run(run, text_model: str, tmp_path: Path):
    from support.recipes import WORDS

    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--quick", "--no-wandb"]
    words += ["--machine", "debug", "--output-dir", tmp_path / "run", "--json"]
    code, out, _ = run(*words)
    told = json.loads(out)
    assert (code, told["quick"], told["caveats"]) == (0, True, ["SIMULATED home"])
    code, again, err = run(*words)
    assert (code, again) == (0, out)
    assert "finished before; nothing is trained" in err
    code, out, _ = run("evaluate", tmp_path / "run", "--json")
    told = json.loads(out)
    assert (code, told["quick"], told["seeds"]) == (0, True, 1)
    assert told["caveats"] == ["SIMULATED home", "quick"]
    assert told["trained"]["test/recall_mean"] >= 0
    _, out, _ = run("evaluate", tmp_path / "run")
    assert "run, test days, 1 seed" in out
    assert "(SIMULATED home, quick)" in " ".join(out.split())
