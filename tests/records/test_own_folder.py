"""A folder that is not ours is refused before anything is written, and nothing in it is deleted."""

import json
import shutil
from pathlib import Path

import pytest
from support.recipes import WORDS

from casas_ray import paths
from casas_ray.config import Machine, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import RefusedError, SettingsError
from casas_ray.files import scratch_folder
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.lock import locked
from casas_ray.records.own_folder import own, refuse_strangers
from casas_ray.records.run_record import RunRecord
from casas_ray.run.launch import run_training
from casas_ray.tracking.tensorboard import FOLDER, rebuild


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["ray/thesis.txt", "tensorboard/events.out.tfevents.1", "a"])
def test_a_folder_of_somebody_else_is_refused_and_untouched(name: str, tmp_path: Path, run):
    mine = tmp_path / "mine"
    (mine / name).parent.mkdir(parents=True)
    (mine / name).write_text("two years of work")
    for words in ([], ["--profile"]):
        code, _, err = run(
            "train", *WORDS, *words, "--machine", "debug", "--output-dir", mine, "--no-wandb"
        )
        assert code == 8, err
        assert "nothing that says it is a run of casas-ray" in err
    assert everything_in(mine) == {name: b"two years of work"}


def test_a_run_json_of_another_program_does_not_make_a_folder_ours(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"model": "of another program"}')
    with pytest.raises(RefusedError):
        refuse_strangers(tmp_path)
    (tmp_path / "run.json").write_text("")
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(RefusedError):
        own(tmp_path)


def test_the_root_the_home_and_the_data_folder_are_no_runs_folders(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()  # empty, and refused all the same
    places = [Path("/"), Path.home(), paths.data_root(), paths.runs(), paths.raw()]
    for place in (*places, paths.data_root().parent):
        with pytest.raises(RefusedError):
            refuse_strangers(place)


def test_what_cannot_be_a_folder_is_named_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RefusedError, match="is no folder"):
            own(path)
    for path in (tmp_path / ("a" * 300), Path("/proc/nope")):
        with pytest.raises(SettingsError, match="cannot be a run's folder"):
            own(path)


def test_new_empty_and_marked_folders_and_runs_of_earlier_versions_are_ours(
    tmp_path: Path, whole_run: Path
):
    (tmp_path / "empty").mkdir()
    for name in ("new/below", "empty"):
        own(tmp_path / name)
        (tmp_path / name / "more").write_text("")
        own(tmp_path / name)
    earlier = Path(shutil.copytree(whole_run, tmp_path / "earlier"))
    own(earlier)
    bricked = tmp_path / "bricked"
    bricked.mkdir()
    (bricked / "run.json").write_bytes(b"")
    own(bricked)


def test_only_a_scratch_folder_that_we_made_is_deleted(tmp_path: Path):
    scratch = scratch_folder(tmp_path / ".ray")
    (scratch / "old").write_text("")
    assert [path.name for path in scratch_folder(scratch).iterdir()] == [".casas-ray"]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("a")
    link = tmp_path / "link"
    link.symlink_to(scratch)
    for folder in (precious, precious / "a", link):
        with pytest.raises(RefusedError, match="was not made by casas-ray"):
            scratch_folder(folder)
    assert (precious / "a").read_text() == "a"
    assert (scratch / ".casas-ray").exists()


def test_a_lock_empties_no_file_that_lies_under_its_name(tmp_path: Path):
    (tmp_path / "notes").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "notes")
    with locked(tmp_path):
        pass
    assert (tmp_path / "notes").read_text() == "precious"


@pytest.fixture
def record(tmp_path: Path, small_recipe: Recipe, whole_run: Path) -> RunRecord:
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    record = RunRecord("run", folder, small_recipe, Tracking(mode="disabled"))
    record.write()
    return record


def test_event_files_of_another_trainer_stay_beside_ours(record: RunRecord):
    folder = record.folder / FOLDER
    folder.mkdir()
    (folder / "events.out.tfevents.1.theirs").write_text("theirs")
    for _ in range(2):
        rebuild(record)
        names = sorted(path.name for path in folder.iterdir())
        assert len(names) == 2
        assert names[1].endswith(".theirs") or names[0].endswith(".theirs")


def test_a_run_is_claimed_only_when_nobody_is_at_work_in_it(
    record: RunRecord, small_set: PreparedSet
):
    before = (record.folder / "run.json").read_bytes()
    asked = RunRecord("other", record.folder, record.recipe, record.tracking)
    data = TrainingData(small_set, None)
    with locked(record.folder), pytest.raises(RefusedError, match="is at work in"):
        run_training(asked, Machine(seat="debug"), data, [])
    assert (record.folder / "run.json").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b'{"name": ', b"[]", b'{"name": 1}'])
def test_a_damaged_run_json_is_written_anew_by_the_same_command_alone(
    content: bytes, record: RunRecord, small_set: PreparedSet, caplog
):
    (record.folder / "run.json").write_bytes(content)
    data = TrainingData(small_set, None)
    other = record.recipe.replace({"optim.epochs": 7})
    with pytest.raises(RefusedError, match=r"another recipe; it differs in optim\.epochs"):
        run_training(
            RunRecord("run", record.folder, other, record.tracking),
            Machine(seat="debug"),
            data,
            [],
        )
    assert run_training(record, Machine(seat="debug"), data, []).status == "finished"
    assert "run.json is damaged" in caplog.text
    assert RunRecord.read(record.folder) == record


def test_a_caveat_taken_out_of_a_record_is_seen(record: RunRecord):
    path = record.folder / "run.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"caveats": ["none"]}))
    with pytest.raises(Exception, match="was changed after it was written"):
        RunRecord.read(record.folder)
