"""A study's folder: mended by its own command, never taken twice, and no trial of it forgotten."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from casas_ray.catalog import find_study
from casas_ray.config import DataConfig, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import DataError, RefusedError
from casas_ray.paths import runs
from casas_ray.records.lock import locked
from casas_ray.records.run_record import RunRecord
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_folder import Asked, lay_out
from casas_ray.records.study_record import read_study
from casas_ray.sealed import read_sealed, write_sealed
from casas_ray.study import Study, each

WORDS = ("--machine", "debug", "--no-wandb")


@pytest.fixture
def tuned(run, study: Path, tmp_path: Path, data_root: Path, monkeypatch) -> Path:
    """The folder of a study that has ended, in a data folder of the test's own."""
    for drawer in ("raw", "aligned", "text"):
        if (data_root / drawer).is_dir():
            shutil.copytree(data_root / drawer, tmp_path / "data" / drawer, symlinks=True)
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    assert run("tune", study, *WORDS)[0] == 5  # its arm diverges, as it must
    (folder,) = runs().iterdir()
    return folder


def test_a_finished_trial_whose_ledger_is_gone_is_missing_and_trained_again(
    run, study: Path, tuned: Path
):
    base = tuned / "base-seed0"
    before = RunResult.read(base).best()
    (base / "ledger.jsonl").unlink()
    code, out, err = run("table", tuned)
    assert code == 5
    assert "1 missing" in out
    code, _, err = run("tune", study, *WORDS)
    assert code == 5
    assert "3 of 4 trials ended before" in err
    again = RunResult.read(base)
    assert (again.status, again.best()) == ("finished", before)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"study": 1}'])
def test_a_damaged_study_json_is_named_and_written_anew(
    content: bytes, run, study: Path, tuned: Path
):
    whole = read_study(tuned)
    for name in ("study.json", "results.json", "base-seed1/run.json"):
        (tuned / name).write_bytes(content)
    code, _, err = run("table", tuned)
    assert code == 3
    assert "study.json is damaged" in err
    assert "written anew" in err or "writes it anew" in err
    assert run("tune", study, *WORDS)[0] == 5
    again = read_study(tuned)
    assert replace(again, rule=None) == replace(whole, rule=None)
    assert (whole.rule.is_late, again.rule.is_late) == (False, True)  # what is lost is not made up
    assert RunRecord.read(tuned / "base-seed1").arm == "base"
    assert json.loads((tuned / "results.json").read_text())["caveats"] == ["SIMULATED home"]


def test_a_caveat_taken_out_of_a_study_is_seen(run, tuned: Path):
    about = json.loads((tuned / "study.json").read_text())
    (tuned / "study.json").write_text(json.dumps(about | {"caveats": []}))
    code, out, err = run("table", tuned)
    assert (code, out) == (3, "")
    assert "it was changed after it was written" in err


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda trials: trials[1:], id="the base lacks a seed"),
        pytest.param(lambda trials: [*trials, trials[0]], id="a trial twice"),
        pytest.param(lambda trials: [[*one[:2], trials[0][2]] for one in trials], id="one folder"),
    ],
)
def test_trials_without_a_base_or_that_share_a_folder_are_damage(spoil, tuned: Path):
    held = read_sealed(tuned / "study.json", hint="")
    write_sealed(tuned / "study.json", held | {"trials": spoil(held["trials"])})
    with pytest.raises(DataError, match="the base lacks a seed, or a trial is there twice"):
        read_study(tuned)


def test_a_trial_whose_folder_lies_elsewhere_is_refused(tuned: Path):
    about = read_sealed(tuned / "study.json", hint="")
    about["trials"][0][2] = "../../elsewhere"
    write_sealed(tuned / "study.json", about)
    with pytest.raises(RefusedError, match="would leave its folder"):
        read_study(tuned)


LAY_OUT = """
import sys
from pathlib import Path
from casas_ray.catalog import find_study
from casas_ray.config import DataConfig, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.records.study_folder import Asked, lay_out
study, sets = find_study(sys.argv[1]), PreparedSet(Path(sys.argv[2]))
sys.stdin.read()
for _ in range(20):
    print(lay_out(Asked(study, Tracking(), [sets] * len(study.trials()), fresh=True))[0].folder)
"""


def test_two_that_ask_for_a_fresh_folder_at_once_get_two(
    study: Path, small_set: PreparedSet, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    words = [sys.executable, "-c", LAY_OUT, str(study), str(small_set.folder)]
    both = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        assert one.stdin is not None
        one.stdin.close()
    folders = [line for one in both for line in one.stdout.read().splitlines()]
    assert [one.wait() for one in both] == [0, 0]
    assert len(set(folders)) == len(folders) == 40


def test_a_study_that_somebody_works_on_is_not_written_to(
    study: Path, small_set: PreparedSet, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    asked = find_study(str(study))
    sets = [small_set] * len(asked.trials())
    record, _ = lay_out(Asked(asked, Tracking(), sets))
    before = (record.folder / "study.json").stat().st_mtime_ns
    with locked(record.folder), pytest.raises(RefusedError, match="is at work in"):
        lay_out(Asked(asked, Tracking(), sets))
    assert (record.folder / "study.json").stat().st_mtime_ns == before


def test_a_study_writes_into_no_folder_of_somebody_else(
    study: Path, small_set: PreparedSet, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    asked = find_study(str(study))
    sets = [small_set] * len(asked.trials())
    record, _ = lay_out(Asked(asked, Tracking(), sets))
    shutil.rmtree(record.folder)
    record.folder.mkdir()
    (record.folder / "thesis.txt").write_text("")
    with pytest.raises(RefusedError, match=r"holds 'thesis\.txt'"):
        lay_out(Asked(asked, Tracking(), sets))
    assert [path.name for path in record.folder.iterdir()] == ["thesis.txt"]


def asked_of(recipe: Recipe, name: str) -> Study:
    arms = each("loss.mlm_weight", [0.1, 0.2])
    return Study(question="?", base=recipe, arms=arms, seeds=(0, 1), name=name)


def test_the_same_study_has_its_folder_again_and_other_data_or_a_fresh_one_another(
    small_recipe: Recipe, small_set: PreparedSet
):
    study = asked_of(small_recipe, "folders")
    four_days = DataConfig.build({"simulated": True, "simulate": {"days": 4}})
    other_set = prepare(four_days, logs_for(four_days))

    def folder(prepared: PreparedSet, *, fresh: bool = False) -> str:
        return lay_out(Asked(study, Tracking(), [prepared] * 6, fresh=fresh))[0].folder.name

    first = folder(small_set)
    assert folder(small_set) == first
    assert folder(other_set) != first
    assert [folder(small_set, fresh=True) for _ in range(2)] == [f"{first}-2", f"{first}-3"]
    assert folder(small_set) == first


def test_results_come_arm_by_arm_and_each_run_lies_in_its_trials_folder(
    small_recipe: Recipe, small_set: PreparedSet
):
    study = asked_of(small_recipe, "results")
    record, runs = lay_out(Asked(study, Tracking(), [small_set] * 6))
    again = read_study(record.folder)
    assert again == record
    names = ("base", "mlm_weight=0.1", "mlm_weight=0.2")
    assert list(again.results()) == [(name, seed) for name in names for seed in (0, 1)]
    assert {(run.arm, run.recipe.seed): run.folder for run in runs} == {
        key: result.folder for key, result in again.results().items()
    }


def test_the_rule_is_written_before_the_first_trial_and_stands(
    small_recipe: Recipe, small_set: PreparedSet, caplog
):
    study = asked_of(small_recipe, "ruled")
    record, _ = lay_out(Asked(study, Tracking(), [small_set] * 6))
    rule = read_study(record.folder).rule
    assert rule is not None
    assert (rule.family, rule.rounds) == (("mlm_weight=0.1", "mlm_weight=0.2"), ((0, 1),))
    assert (rule.metric, rule.rope, rule.is_late) == ("val/recall_mean", 0.01, False)
    again, _ = lay_out(Asked(replace(study, rope=0.1), Tracking(), [small_set] * 6))
    assert again.rule == rule
    assert "says rope=0.1; the rule of" in caplog.text


def test_a_study_from_before_there_were_rules_gets_a_late_one_and_its_table_says_so(
    run, study: Path, tuned: Path
):
    held = read_sealed(tuned / "study.json", hint="")
    assert held["rule"]["is_late"] is False
    write_sealed(tuned / "study.json", {key: held[key] for key in held if key != "rule"})
    _, out, _ = run("table", tuned)
    assert "this study WROTE NONE before its trials" in " ".join(out.split())
    assert run("tune", study, *WORDS)[0] == 5
    rule = read_study(tuned).rule
    assert rule is not None
    assert rule.is_late
    _, out, _ = run("table", tuned)
    assert "AFTER trials had begun" in " ".join(out.split())


def test_trials_under_a_former_spelling_keep_their_folder(
    small_recipe: Recipe, small_set: PreparedSet
):
    arms = each("optim.learning_rate", [3 * 1e-4])
    study = Study(question="?", base=small_recipe, arms=arms, seeds=(0, 1), name="former")
    record, runs = lay_out(Asked(study, Tracking(), [small_set] * 4))
    assert runs[1].folder.name == "learning_rate=3e-4-seed0"
    old = record.folder / "learning_rate=0.00030000000000000003-seed0"
    old.mkdir()
    # As the version of that spelling would have written it.
    former = {"learning_rate=3e-4": "learning_rate=0.00030000000000000003"}
    held = read_sealed(record.folder / "study.json", hint="")
    held["trials"] = [
        [former.get(arm, arm), seed, name.replace(arm, former.get(arm, arm))]
        for arm, seed, name in held["trials"]
    ]
    held["rule"]["family"] = list(former.values())
    write_sealed(record.folder / "study.json", held)
    again, runs = lay_out(Asked(study, Tracking(), [small_set] * 4))
    assert again.folder == record.folder
    assert (runs[1].folder, runs[1].arm) == (old, "learning_rate=3e-4")
    assert runs[3].folder.name == "learning_rate=3e-4-seed1"
    assert read_study(record.folder) == again
    assert again.rule is not None
    assert (again.rule.family, again.rule.joined) == (("learning_rate=3e-4",), ())
    assert len(again.trials) == 4
    assert again.results()["learning_rate=3e-4", 0].folder == old
