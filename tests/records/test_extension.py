"""A study taken up again with more seeds or arms: in its folder, and nothing is trained twice."""

import json
import os
import shutil
from pathlib import Path

import pytest
from support.recipes import SMALL

from casas_ray.paths import runs
from casas_ray.records.study_record import read_study

WORDS = ("--machine", "debug", "--no-wandb", "--json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_root: Path, text_model: str) -> tuple[Path, Path]:
    """A data folder with a study of two seeds that has ended, and the study's file."""
    from casas_ray.cli.entry import run as run_words

    root = tmp_path_factory.mktemp("extension")
    study = root / "grown.py"
    study.write_text(text_of(text_model, [0.1]))
    before = os.environ["CASAS_RAY_DATA"]
    os.environ["CASAS_RAY_DATA"] = str(root / "data")
    try:
        assert run_words(["tune", str(study), *WORDS], debug=True) == 0
    finally:
        os.environ["CASAS_RAY_DATA"] = before
    return root / "data", study


def text_of(text_model: str, weights: list[float], **changes: object) -> str:
    base = {**SMALL, "text.model": text_model, "optim.epochs": 1, **changes}
    return (
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Study, each\n"
        f"BASE = Recipe(name='small').replace({base!r})\n"
        "STUDY = Study(question='More?', base=BASE, seeds=(0, 1),\n"
        f"    arms=each('loss.mlm_weight', {weights!r}))\n"
    )


@pytest.fixture
def grown(trained: tuple[Path, Path], tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """The study's folder and file, in a data folder of the test's own."""
    data, study = trained
    shutil.copytree(data, tmp_path / "data", symlinks=True)
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    (folder,) = runs().iterdir()
    return folder, Path(shutil.copy(study, tmp_path / "grown.py"))


def stamps(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/ledger.jsonl")}


def test_seeds_and_arms_are_added_to_the_folder_and_nothing_runs_twice(
    run, grown: tuple[Path, Path], text_model: str
):
    folder, study = grown
    before = stamps(folder)
    code, out, err = run("tune", study, "--seeds", 3, "--extend", *WORDS)
    assert code == 0
    assert "4 of 6 trials ended before" in err
    assert Path(json.loads(out)["folder"]) == folder
    study.write_text(text_of(text_model, [0.1, 0.9]))
    code, out, err = run("tune", study, "--extend", *WORDS)
    assert code == 0
    after = stamps(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == 3 + 3 + 2  # the new arm has the seeds that the file asks for
    rule = read_study(folder).rule
    assert rule is not None
    assert (rule.rounds, rule.joined) == (((0, 1), (2,)), ("mlm_weight=0.9",))
    table = json.loads(out)
    assert [arm["verdict"]["pairs"] for arm in table["arms"][1:]] == [3, 2]
    assert list(runs().iterdir()) == [folder]
    # The smaller command finds the folder that has grown, and takes nothing away.
    code, out, _ = run("tune", study, "--arms", "mlm_weight=0.1", *WORDS)
    assert code == 0
    assert stamps(folder) == after
    assert len(read_study(folder).trials) == 8


def test_what_a_study_lacks_is_named_and_added_only_when_told_to(run, grown: tuple[Path, Path]):
    folder, study = grown
    before = (folder / "study.json").read_bytes()
    code, _, err = run("tune", study, "--seeds", 4, *WORDS)
    assert code == 8
    assert "has this study with the same base, but not seed 2, 3" in err
    assert "--extend adds to it" in err
    assert (folder / "study.json").read_bytes() == before
    assert list(runs().iterdir()) == [folder]


def test_another_base_is_refused_with_the_difference(run, grown: tuple[Path, Path]):
    folder, study = grown
    code, _, err = run("tune", study, "--seeds", 3, "--extend", "optim.warmup_share=0.3", *WORDS)
    assert code == 8
    assert "has another base: optim.warmup_share was" in err
    assert "is 0.3" in err
    assert list(runs().iterdir()) == [folder]


def test_an_arm_of_the_same_name_that_differs_is_refused(
    run, grown: tuple[Path, Path], text_model: str
):
    _, study = grown
    text = text_of(text_model, [0.1])
    study.write_text(
        text.replace("import Study, each", "import Arm, Study").replace(
            "each('loss.mlm_weight', [0.1])", "[Arm('mlm_weight=0.1', {'loss.mlm_weight': 0.2})]"
        )
    )
    code, _, err = run("tune", study, "--extend", *WORDS)
    assert code == 8
    assert "has another arm 'mlm_weight=0.1': loss.mlm_weight was 0.1, is 0.2" in err


def test_seeds_are_added_until_it_is_decided_and_no_further(run, grown: tuple[Path, Path]):
    folder, study = grown
    words = ["tune", study, "--until-decided", "--most", 8, *WORDS]
    code, out, err = run(*words)
    assert code == 0
    table = json.loads(out)
    (arm,) = table["arms"][1:]
    count = len(table["rule"]["rounds"][-1]) + sum(map(len, table["rule"]["rounds"][:-1]))
    assert 6 <= count <= 8
    decided = arm["verdict"]["verdict"] != "cannot decide"
    assert decided or count == 8
    # Planned before the sixth seed was trained: what is looked at more than once is evidence.
    assert (table["rule"]["most"], arm["verdict"]["p"]) == (8, None)
    assert arm["verdict"]["e_value"] > 0
    assert ("get 2 more" in err) == (count == 8)
    before = stamps(folder)
    code, again, _ = run(*words)
    assert (code, again) == (0, out)
    assert stamps(folder) == before
