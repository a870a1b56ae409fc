"""A prepared set stands in place of homes, by its name, and outlives its log."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.alignment_json import files

from casas_ray.config import DataConfig
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.bringing import Named, brought
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.corpus.inventory import homes_at_hand
from casas_ray.corpus.named_sets import find_set, set_for, set_named, settings_of
from casas_ray.errors import DataError, SettingsError, SetupError
from casas_ray.paths import aligned, raw


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))


@pytest.fixture
def json_set(tmp_path: Path) -> PreparedSet:
    windows, vocab = files(tmp_path)
    return prepare_json(JsonFiles(windows, vocab))


def write_log(home: str, hour: int = 8) -> Path:
    folder = raw() / home
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"2009-10-{day} {hour:02d}:{minute:02d}:02.000000\tM{minute % 3 + 1:03d}\tON"
        for day in range(16, 26)
        for minute in range(10, 50)
    ]
    (folder / "data").write_text("\n".join(lines) + "\n")
    return folder


def test_a_set_is_named_by_its_folder_its_path_or_what_stands_for_its_home(json_set: PreparedSet):
    folder = json_set.folder
    for name in (folder.name, str(folder), f"{folder}/", json_set.manifest["home"]):
        assert set_named([name]) == name
        assert find_set(name).folder.samefile(folder)
    assert set_named(["milan"]) == set_named(["milan", "aruba"]) == ""


@pytest.mark.parametrize("name", ["cairo", "nowhere", "milan-000000000000"])
def test_what_a_cluster_has_not_is_to_be_pushed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = tmp_path / "working_dir_files" / "_ray_pkg"
    job.mkdir(parents=True)
    monkeypatch.chdir(job)
    with pytest.raises(SetupError, match=f"on this cluster no .*{name}") as told:
        set_for(DataConfig(homes=(name,)))
    assert f"`casas-ray push {name}`" in told.value.hint


def test_a_set_stands_alone(json_set: PreparedSet):
    with pytest.raises(SettingsError, match="stands alone in"):
        set_named(["milan", json_set.folder.name])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("json-00000000", "no prepared set 'json-00000000'"),
        ("milan-000000000000", "no prepared set 'milan-000000000000'"),
        ("somewhere/else", "somewhere/else is no prepared set in"),
        ("../..", r"\.\./\.\. is no prepared set in"),
    ],
)
def test_a_set_that_is_not_there_is_named(json_set: PreparedSet, name: str, problem: str):
    with pytest.raises(DataError, match=problem):
        find_set(set_named([name]))


def test_a_misspelt_set_is_answered_with_the_nearest(json_set: PreparedSet):
    name = json_set.folder.name
    with pytest.raises(DataError) as caught:
        find_set(name[:-1] + ("0" if name[-1] != "0" else "1"))
    assert caught.value.hint == f"did you mean '{name}'?"


def test_a_damaged_set_is_refused(json_set: PreparedSet):
    (json_set.folder / "train.parquet").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"train\.parquet is damaged"):
        find_set(json_set.folder.name)


def test_a_home_that_is_called_as_sets_are_is_a_home():
    write_log("lab-0123456789ab")
    assert set_named(["lab-0123456789ab"]) == ""


def test_a_set_tells_what_it_was_made_with(json_set: PreparedSet):
    write_log("mine")
    config = DataConfig(homes=("mine",)).replace({"windows.length": 10})
    assert settings_of(set_for(config)) == config
    assert settings_of(json_set) == DataConfig(homes=(json_set.manifest["home"],))


def test_other_settings_beside_a_sets_name_are_refused(json_set: PreparedSet):
    config = DataConfig(homes=(json_set.manifest["home"],))
    assert set_for(config).folder == json_set.folder
    with pytest.raises(SettingsError, match="windows are cut already"):
        set_for(config.replace({"windows.length": 10}))


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def moved(folder: Path) -> None:
    (folder / "data").unlink()
    (folder / "data").symlink_to(folder / "nothing")


@pytest.mark.parametrize("lose", [gone, moved])
def test_a_set_whose_log_is_gone_is_taken_aloud(lose: Callable[[Path], None]):
    folder, config, said = write_log("mine"), DataConfig(homes=("mine",)), list[str]()
    made = set_for(config)
    lose(folder)
    assert set_for(config, watch=said.append).folder == made.folder
    (told,) = said
    assert "log of home 'mine'" in told
    assert f"{made.folder} was made of it, and is taken" in told
    with pytest.raises(DataError, match="log of home 'mine'") as caught:
        set_for(config.replace({"windows.length": 10}))
    assert f"made of it with other settings: data.homes={made.folder.name}" in caught.value.hint


def test_the_sets_of_a_log_that_is_remembered_and_gone_are_named_with_other_settings():
    log = write_log("other") / "data"
    with brought("mine", Named(log)):
        pass
    config = DataConfig(homes=("mine",))
    made = [set_for(config).folder.name]
    made.append(set_for(config.replace({"windows.length": 12})).folder.name)
    log.unlink()
    assert set_for(config).folder.name == made[0]
    with pytest.raises(DataError, match="nothing lies there now") as caught:
        set_for(config.replace({"windows.length": 10}))
    assert all(name in caught.value.hint for name in made)


def test_a_set_whose_home_is_nowhere_else_is_listed():
    folder = write_log("mine")
    made = set_for(DataConfig(homes=("mine",)))
    shutil.rmtree(folder)
    (held,) = homes_at_hand()["mine"].sets
    assert held.folder == made.folder


def test_which_of_two_sets_is_meant_is_asked_when_their_log_is_gone():
    config = DataConfig(homes=("mine",))
    folder = write_log("mine")
    first = set_for(config)
    write_log("mine", hour=9)
    second = set_for(config)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="2 sets were made with these settings") as caught:
        set_for(config)
    assert {first.folder.name, second.folder.name} >= {caught.value.hint.rpartition("=")[2]}
    assert find_set(set_named([first.folder.name])).fingerprint == first.fingerprint


def test_a_home_in_another_alphabet_has_a_log_a_set_and_its_name():
    write_log("Haus Müller")
    made = set_for(DataConfig(homes=("Haus Müller",)))
    assert made.folder.name.startswith("Haus_Muller-")
    assert made.folder.parent == aligned()
    assert list(made.manifest["homes"]) == ["Haus Müller"]
