"""Alignment JSON and prepared sets in place of homes, through the commands that take them."""

import json
import shutil
from pathlib import Path

import pytest
from support.alignment_json import VOCAB, files, sample
from support.recipes import SMALL, WORDS_WITHOUT_DATA

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.shape_a import write_shape_a
from casas_ray.files import sha256_of
from casas_ray.records.run_record import RunRecord
from casas_ray.records.study_record import read_study

QUIET = ("--machine", "debug", "--no-wandb")


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def study_file(path: Path, text_model: str, arms: str, **changes: object) -> Path:
    held = {**SMALL, "text.model": text_model, "optim.epochs": 1, "optim.batch_size": 3, **changes}
    path.write_text(
        "from casas_ray.config import Recipe\n"
        "from casas_ray.study import Arm, Study, cross, each\n"
        f"BASE = Recipe(name='small').replace({held!r})\n"
        f"STUDY = Study(question='Which?', base=BASE, seeds=(0,), arms={arms})\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def study(tmp_path: Path, text_model: str) -> Path:
    return study_file(tmp_path / "which.py", text_model, "each('loss.mlm_weight', [0.1])")


def as_options(folder: Path, train: object = None) -> list[object]:
    folder.mkdir(exist_ok=True)
    windows, vocab = files(folder, train)
    shutil.copy(windows["val"], folder / "test.json")
    options = {"--train-data": "train", "--val_data": "val", "--test-data": "test"}
    words = [word for flag, name in options.items() for word in (flag, folder / f"{name}.json")]
    return [*words, "--vocab", vocab]


def sent_simulated(small_set: PreparedSet, folder: Path) -> list[object]:
    files_of = Path(shutil.copytree(write_shape_a(small_set), folder))
    names = {"--train-data": "train", "--val-data": "val", "--test-data": "test"}
    words = [word for flag, name in names.items() for word in (flag, files_of / f"{name}.json")]
    return [*words, "--vocab", files_of / "vocab.json"]


def folder_of(out: str) -> Path:
    return Path(json.loads(out)["folder"])


def test_a_study_of_alignment_json_trains_goes_on_and_is_judged(run, study: Path, tmp_path: Path):
    given = as_options(tmp_path / "json")
    code, out, err = run("tune", study, *given, *QUIET, "--json")
    assert code == 0, err
    folder = folder_of(out)
    record = read_study(folder)
    assert [trial[0] for trial in record.trials] == ["base", "mlm_weight=0.1"]
    (about,) = record.sets
    assert about["files"]["train"] == {
        "name": "train.json",
        "sha256": sha256_of(tmp_path / "json" / "train.json"),
    }
    assert set(about["files"]) == {"train", "val", "test", "vocab"}
    assert record.homes == (about["home"],)
    code, out, err = run("tune", study, *given, *QUIET)
    assert (code, "2 of 2 trials ended before" in err) == (0, True)
    assert about["home"] in out
    assert run("table", folder)[0] == 0
    code, out, err = run("evaluate", folder, "--json")
    assert code == 0, err
    assert len(json.loads(out)["arms"]) == 2


def test_the_same_files_and_the_sets_names_are_one_study(run, study: Path, tmp_path: Path):
    given = as_options(tmp_path / "json")
    first = folder_of(run("tune", study, *given, *QUIET, "--json")[1])
    home = read_study(first).homes[0]
    shutil.rmtree(tmp_path / "json")  # the set is all that is needed
    (aligned,) = (tmp_path / "data" / "aligned").iterdir()
    for name in (home, aligned.name, aligned):
        code, out, err = run("tune", study, f"data.homes={name}", *QUIET, "--json")
        assert code == 0, err
        assert folder_of(out) == first
        assert "2 of 2 trials ended before" in err


def test_a_run_of_a_named_set_is_that_of_its_files(run, tmp_path: Path, text_model: str):
    words = [*WORDS_WITHOUT_DATA, f"text.model={text_model}", "optim.batch_size=3", *QUIET]
    given = as_options(tmp_path / "json")
    code, out, err = run("train", "milan_tiny", *words, *given, "--json")
    assert code == 0, err
    (aligned,) = (tmp_path / "data" / "aligned").iterdir()
    code, again, err = run("train", "milan_tiny", *words, f"data.homes={aligned.name}", "--json")
    assert code == 0, err
    assert folder_of(again) == folder_of(out)
    assert "finished before" in err


def test_a_changed_file_is_a_changed_base(run, study: Path, tmp_path: Path, text_model: str):
    own = ("--output-dir", tmp_path / "out")
    given = as_options(tmp_path / "json")
    assert run("tune", study, *given, *QUIET, *own)[0] == 0
    assert run("tune", study, *given, *QUIET, *own)[0] == 0
    before = sha256_of(tmp_path / "out" / "study.json")
    given = as_options(tmp_path / "json", [sample(n) for n in range(1, 8)])
    code, _, err = run("tune", study, *given, *QUIET, *own, "optim.epochs=2")
    assert code == 8
    assert "holds another study; it differs in data.homes, optim.epochs, the file of train." in err
    assert sha256_of(tmp_path / "out" / "study.json") == before
    other = study_file(tmp_path / "other.py", text_model, "each('model.dropout', [0.0])")
    assert "its arms or seeds" in run("tune", other, *given, *QUIET, *own)[2]
    # Without a folder of its own it is another study beside the first.
    assert run("tune", study, *given, *QUIET)[0] == 0


def test_a_run_on_changed_files_is_refused_with_their_names(run, tmp_path: Path, text_model: str):
    words = [*WORDS_WITHOUT_DATA, f"text.model={text_model}", "optim.batch_size=3", *QUIET]
    words += ["--output-dir", tmp_path / "out"]
    assert run("train", "milan_tiny", *words, *as_options(tmp_path / "json"))[0] == 0
    given = as_options(tmp_path / "json", [sample(n) for n in range(1, 8)])
    code, _, err = run("train", "milan_tiny", *words, *given)
    assert code == 8
    assert "it differs in data.homes, the file of train." in err


def test_a_study_is_not_put_into_a_runs_folder_nor_into_a_strangers(
    run, study: Path, tmp_path: Path, text_model: str
):
    given = as_options(tmp_path / "json")
    words = [*WORDS_WITHOUT_DATA, f"text.model={text_model}", "optim.batch_size=3", *QUIET]
    run("train", "milan_tiny", *words, *given, "--output-dir", tmp_path / "run")
    code, _, err = run("tune", study, *given, *QUIET, "--output-dir", tmp_path / "run")
    assert (code, "holds a run, not a study" in err) == (8, True)
    code, _, err = run("tune", study, *given, *QUIET, "--output-dir", tmp_path / "json")
    assert (code, "nothing that says it is a run" in err) == (8, True)


def test_a_simulated_home_stays_simulated_on_its_way_through_json(
    run, small_set: PreparedSet, tmp_path: Path, text_model: str
):
    given = sent_simulated(small_set, tmp_path / "sent")
    study = study_file(
        tmp_path / "which.py", text_model, "each('loss.mlm_weight', [0.1])", **{"model.width": 16}
    )
    assert "(SIMULATED home, quick)" in run("plan", study, *given, "--quick")[1]
    told = json.loads(run("plan", study, *given, "--json")[1])
    assert told["caveats"] == ["SIMULATED home"]
    code, out, err = run("tune", study, *given, *QUIET, "--json")
    assert code == 0, err
    folder = folder_of(out)
    assert "-simulated-" in folder.name
    assert read_study(folder).caveats == ("SIMULATED home",)
    assert "SIMULATED home" in run("table", folder)[1]
    assert "SIMULATED home" in run("evaluate", folder)[1]
    assert "SIMULATED" in RunRecord.read(folder / "base-seed0").tags()
    homes = json.loads(run("homes", "--json")[1])
    ((name, home),) = [(name, home) for name, home in homes.items() if home["files"]]
    assert name == read_study(folder).homes[0]
    assert home["files"] == ["train.json", "val.json", "test.json", "vocab.json"]
    assert home["sets"][0]["caveats"] == ["SIMULATED home"]
    assert "alignment" in run("homes")[1]  # JSON may stand in the next line


def test_a_set_of_a_log_brings_its_own_settings_and_needs_no_log(run, study: Path, tmp_path: Path):
    words = ["--simulated", "data.simulate.days=3", "data.captions.per_window=1"]
    made = json.loads(
        run("prepare", "milan", *words, "data.windows.length=10", "--json")[1],
    )
    shutil.rmtree(tmp_path / "data" / "raw")
    name = Path(made["folder"]).name
    code, out, err = run("tune", study, f"data.homes={name}", *QUIET, "--json", "optim.epochs=1")
    assert code == 0, err
    data = RunRecord.read(folder_of(out) / "base-seed0").recipe.data
    assert (data.homes, data.simulated, data.windows.length) == (("milan",), True, 10)
    assert read_study(folder_of(out)).caveats == ("SIMULATED home",)
    assert not (tmp_path / "data" / "raw").exists()


def test_what_has_no_effect_on_a_set_is_refused(run, study: Path, tmp_path: Path, text_model: str):
    given = as_options(tmp_path / "json")
    for command in ("plan", "tune"):
        code, _, err = run(command, study, *given, "data.windows.length=10")
        assert (code, "data.windows.length=10 has no effect on alignment JSON" in err) == (2, True)
        code, _, err = run(command, study, *given, "--simulated")
        assert (code, "--simulated has no effect" in err) == (2, True)
        code, _, err = run(command, study, *given, "data.homes=milan")
        assert (code, "data.homes=milan has no effect" in err) == (2, True)
        code, _, err = run(command, study, *given[:2])
        assert (code, "alignment JSON needs --vocab too" in err) == (2, True)
    lengths = study_file(tmp_path / "lengths.py", text_model, "each('data.windows.length', [10])")
    code, _, err = run("plan", lengths, *given)
    assert code == 2
    assert "arm 'length=10' changes data.windows.length, which has no effect" in err
    assert not (tmp_path / "data").exists()  # refused before anything was read
    assert run("plan", study, *given)[0] == 0
    (aligned,) = (tmp_path / "data" / "aligned").iterdir()
    code, _, err = run("tune", study, f"data.homes={aligned.name}", "data.windows.length=10")
    assert (code, f"no effect on the prepared set {aligned.name}" in err) == (2, True)
    code, _, err = run("plan", study, f"data.homes=milan,{aligned.name}")
    assert (code, "stands alone" in err) == (2, True)
    code, _, err = run("plan", study, "data.homes=json-00000000")
    assert (code, "no prepared set 'json-00000000'" in err) == (3, True)


def test_a_configuration_file_says_what_has_no_effect_on_a_set(
    run, tmp_path: Path, text_model: str
):
    (tmp_path / "mine.json").write_text(json.dumps({"data.windows.length": 50, "seed": 4}))
    words = [*WORDS_WITHOUT_DATA, f"text.model={text_model}", "optim.batch_size=3", *QUIET]
    given = as_options(tmp_path / "json")
    code, out, err = run("train", *words, *given, "--config", tmp_path / "mine.json", "--json")
    assert code == 0, err
    assert "data.windows.length in" in err
    recipe = RunRecord.read(folder_of(out)).recipe
    assert (recipe.seed, recipe.data.windows.length) == (4, 20)


def test_names_that_plan_shows_are_names_that_tune_takes(run, tmp_path: Path, text_model: str):
    arms = f"[Arm('größe {'x' * 150}', {{'model.width': 16}}), *each('model.dropout', [0.0, 0.1])]"
    study = study_file(tmp_path / "Größe der Schicht.py", text_model, arms)
    given = as_options(tmp_path / "json")
    told = json.loads(run("plan", study, *given, "--json")[1])
    code, out, err = run(
        "tune", study, *given, "--machine", "debug", "tracking.mode=offline", "--json"
    )
    assert code == 0, err
    folder = folder_of(out)
    assert folder.name.isascii()
    assert folder.name.startswith("Grosse_der_Schicht-json-")
    record = read_study(folder)
    assert [trial[0] for trial in record.trials] == list(told["arms"])
    for _, _, name in record.trials:
        assert name.isascii()
        assert (folder / name / "ledger.jsonl").is_file()
    said = json.loads(run("audit", folder, "--json")[1])
    assert "Größe der Schicht/größe" in json.dumps(said, ensure_ascii=False)
    assert run("table", folder)[0] == 0


def test_a_run_is_named_in_any_alphabet(run, tmp_path: Path, text_model: str):
    words = [*WORDS_WITHOUT_DATA, f"text.model={text_model}", "optim.batch_size=3", *QUIET]
    given = as_options(tmp_path / "json")
    code, out, err = run("train", "milan_tiny", *words, *given, "--name", "Erster Läuf", "--json")
    assert code == 0, err
    assert folder_of(out).name.startswith("Erster_Lauf-")
    assert RunRecord.read(folder_of(out)).name == "Erster Läuf"


def test_a_study_takes_the_wandb_options_of_the_earlier_scripts(run, study: Path, tmp_path: Path):
    given = as_options(tmp_path / "json")
    told = ["--wandb_project", "mine", "--wandb_tags", "one", "two", "--wandb_notes", "why"]
    told += ["--wandb_group", "first", "--wandb_name", "mlm_weight"]
    words = ("--machine", "debug", "tracking.mode=offline", "--json")
    code, out, err = run("tune", study, *given, *told, *words)
    assert code == 0, err
    tracking = RunRecord.read(folder_of(out) / "base-seed0").tracking
    assert (tracking.project, tracking.tags, tracking.notes) == ("mine", ("one", "two"), "why")
    assert (tracking.group, tracking.name) == ("first", "mlm_weight")


def test_a_vocabulary_that_lacks_a_value_is_told_before_anything_is_trained(
    run, study: Path, tmp_path: Path
):
    given = as_options(tmp_path / "json")
    poor = {**VOCAB, "sensor_id": {"M001": 0}}
    (tmp_path / "json" / "vocab.json").write_text(json.dumps(poor))
    code, _, err = run("tune", study, *given, *QUIET)
    assert (code, "sensor_id 'M002' is not in" in err) == (3, True)
    assert not (tmp_path / "data" / "runs").exists()
