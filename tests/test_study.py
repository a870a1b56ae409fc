"""Studies: one parametrised test covers every study there will ever be."""

import subprocess
import sys
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.catalog import bases, find_base, find_machine, find_study, study_files
from casas_ray.config import Recipe
from casas_ray.errors import SettingsError
from casas_ray.paths import drawer_files, folder_name, is_safe_name, safe_name
from casas_ray.study import Arm, Study, as_written, cross, each, former_arm_name


@pytest.mark.parametrize("name", sorted(study_files()))
def test_every_study_resolves_and_no_two_trials_are_the_same(name: str):
    study = find_study(name)
    trials = study.trials()
    digests = {trial.recipe.digest() for trial in trials}
    assert len(digests) == len(trials) == (len(study.arms) + 1) * len(study.seeds)
    assert len({trial.name for trial in trials}) == len(trials)
    assert len(study.seeds) >= 3
    assert study.question.endswith("?")


@pytest.mark.parametrize("name", sorted(bases()))
def test_every_starting_point_is_a_recipe_of_its_own_name(name: str):
    assert find_base(name).name == name


@pytest.mark.parametrize("name", sorted(drawer_files("cluster", ".toml")))
def test_every_machine_resolves(name: str):
    assert find_machine(name).name == name


@pytest.mark.parametrize(
    ("name", "path", "values"),
    [
        ("milan_ablation_mlm", "loss.mlm_weight", [0.3, 0.0, 0.1, 0.5, 1.0]),
        ("milan_ablation_temperature", "loss.temperature_init", [0.03, 0.02, 0.05, 0.07, 0.1]),
    ],
)
def test_the_milan_studies_vary_what_they_say(name: str, path: str, values: list[float]):
    group, setting = path.split(".")
    trials = [trial for trial in find_study(name).trials() if trial.recipe.seed == 0]
    assert [getattr(getattr(trial.recipe, group), setting) for trial in trials] == values


def test_an_arm_that_equals_the_base_is_refused_at_import():
    with pytest.raises(SettingsError, match="arm 'seed=0' is the same as 'base'"):
        Study(question="?", base=Recipe(), arms=each("seed", [0]))


def test_a_misspelt_arm_is_refused_at_import():
    with pytest.raises(SettingsError, match="unknown setting"):
        Study(question="?", base=Recipe(), arms=each("loss.mlm_wait", [0.1]))


@pytest.mark.parametrize(
    ("arms", "seeds", "problem"),
    [
        (["a", "a"], (0,), "arm 'a' is there twice"),
        (["a", "A"], (0,), "arm 'A' is there twice"),
        (["base"], (0,), "arm 'base' is there twice"),
        (["Base"], (0,), "arm 'Base' is there twice"),
        (["a"], (0, 0), "seed '0' is there twice"),
        (["a"], (1, True), "seed '1' is there twice"),
        (["a"], (0, 1, 1.0), "seed '1' is there twice"),
        (["a"], (), "has no seed"),
        (["../a"], (0,), "cannot be a folder's name"),
        (["/a"], (0,), "cannot be a folder's name"),
        ([" "], (0,), "cannot be a folder's name"),
        (["é", "e\u0301"], (0,), "arm 'e\u0301' is there twice"),
    ],
)
def test_trials_that_would_share_a_folder_are_refused_when_the_study_is_built(
    arms: list[str], seeds: tuple, problem: str
):
    differ = [Arm(name, {"model.dropout": 0.31 + 0.01 * at}) for at, name in enumerate(arms)]
    with pytest.raises(SettingsError, match=problem):
        Study(question="?", base=Recipe(), arms=differ, seeds=seeds)


def test_names_in_any_alphabet_and_of_any_length_have_folders_of_their_own():
    names = [
        "größe 3",
        "grosse 3",
        "大きさ",
        "小ささ",
        "model=org/name",
        "a" * 200,
        "a" * 201,
        "a.b",
    ]
    arms = [Arm(name, {"model.dropout": 0.31 + 0.01 * at}) for at, name in enumerate(names)]
    trials = Study(question="?", base=Recipe(), arms=arms, seeds=(12,)).trials()
    folders = {trial.arm: trial.folder for trial in trials}
    assert [trial.name for trial in trials][1] == "größe 3-seed12"
    assert folders["base"] == "base-seed12"
    assert folders["a.b"] == "a.b-seed12"
    assert folders["größe 3"].startswith("grosse_3-")
    assert folders["model=org/name"].startswith("model=org_name-")
    assert len(set(folders.values())) == len(names) + 1
    for folder in folders.values():
        assert folder.isascii()
        assert folder.endswith("-seed12")
        assert len(folder) <= 128
        assert safe_name(folder, what="trial") == folder


@given(st.text())
def test_whatever_somebody_writes_becomes_a_folders_name(name: str):
    folder = folder_name(name, most=40)
    assert folder_name(folder, most=40) == folder
    assert folder.isascii()
    assert is_safe_name(folder)
    assert len(folder) <= 40


@given(st.text(), st.text())
def test_unlike_names_have_unlike_folders(one: str, other: str):
    is_like = normalize("NFC", one) == normalize("NFC", other)
    assert is_like == (folder_name(one, most=40) == folder_name(other, most=40))


def test_a_home_that_cannot_be_one_is_refused_before_anything_is_prepared():
    for homes in ("../x", "milan,a/b", "x:y"):
        with pytest.raises(SettingsError, match="cannot be a home's name"):
            Study(question="?", base=Recipe(), arms=each("data.homes", [homes]))
    Study(question="?", base=Recipe(), arms=each("data.homes", ["Haus Müller", "我的家"]))


def test_an_arm_that_changes_the_seed_is_refused_for_every_arm_runs_with_each():
    with pytest.raises(SettingsError, match="'seed=7' changes the seed"):
        Study(question="?", base=Recipe(), arms=each("seed", [7]))


def test_cross_makes_every_combination():
    arms = cross({"loss.mlm_weight": [0.0, 1.0], "model.layers": [2, 6]})
    assert [arm.name for arm in arms] == [
        "mlm_weight=0.0+layers=2",
        "mlm_weight=0.0+layers=6",
        "mlm_weight=1.0+layers=2",
        "mlm_weight=1.0+layers=6",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3 * 1e-4, "3e-4"),
        (3e-4, "3e-4"),
        (0.1 + 0.2, "0.3"),
        (1e-05, "1e-5"),
        (2.5e-4, "2.5e-4"),
        (-1.25e-7, "-1.25e-7"),
        (1e30, "1e30"),
        (0.001, "0.001"),
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.05, "0.05"),
        (128, "128"),
        (1234567.0, "1234567.0"),
        (True, "True"),
        ("mean", "mean"),
        (("sensor", "state"), "sensor,state"),
        ((), "none"),
        (float("inf"), "inf"),
    ],
)
def test_values_in_names_are_written_as_a_person_writes_them(value: object, text: str):
    assert as_written(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_is_that_number_to_twelve_digits(value: float):
    assert float(as_written(value)) == pytest.approx(value, rel=1e-11, abs=0.0)


def test_only_names_made_of_values_had_another_spelling():
    (noisy, plain), named = each("optim.learning_rate", [3 * 1e-4, 0.5]), Arm("0.0003", {"seed": 1})
    assert former_arm_name(noisy) == "learning_rate=0.00030000000000000003"
    assert former_arm_name(plain) is None
    assert former_arm_name(named) is None


def test_what_a_study_varies_cannot_be_changed_in_its_base():
    with pytest.raises(SettingsError, match=r"'loss\.mlm_weight' is what this study varies"):
        find_study("milan_ablation_mlm").with_base({"loss.mlm_weight": 0.2})


def test_names_of_the_other_kind_say_which_command_wants_them():
    with pytest.raises(SettingsError) as study:
        find_study("milan_tiny")
    assert study.value.hint == "train it: casas-ray train milan_tiny"
    with pytest.raises(SettingsError) as base:
        find_base("milan_ablation_mlm")
    assert base.value.hint == "run all its arms: casas-ray tune milan_ablation_mlm"


def test_a_study_of_ones_own_is_found_by_its_path(tmp_path):
    path = tmp_path / "widths.py"
    path.write_text(
        "from casas_ray.study import Study, each\n"
        "from casas_ray.config import Recipe\n"
        "STUDY = Study(question='How wide?', base=Recipe(), arms=each('model.width', [256]))\n"
    )
    study = find_study(str(path))
    assert (study.name, [arm.name for arm in study.arms]) == ("widths", ["width=256"])


@pytest.mark.parametrize(
    "words", [["--help"], ["plan", "milan_ablation_mlm"], ["plan", "--json", "milan_ablation_mlm"]]
)
def test_help_and_plan_import_neither_torch_nor_ray(words: list[str]):
    code = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from casas_ray.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'ray', 'wandb', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
