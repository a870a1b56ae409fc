"""The studies that come with the package: each says what it costs, and can be run as it is."""

import re
from pathlib import Path

import pytest

from casas_ray.catalog import find_study, study_files
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.model.embedding import chosen_fields
from casas_ray.paths import installed_studies
from casas_ray.report.can_show import can_show

NAMES = sorted(name for name, path in study_files().items() if path.parent == installed_studies())
WITHOUT_VERDICTS = {"milan_baseline", "multi_dataset", "milan_ablation_windows", "default_recipe"}
"""One arm, arms on data of their own, and the record of a choice that was made."""


def test_the_guides_experiments_and_one_study_for_each_question_are_there():
    guide = {"milan_baseline", "milan_ablation_mlm", "milan_ablation_temperature", "multi_dataset"}
    parts = [
        "windows",
        "fields",
        "captions",
        "text",
        "projection",
        "loss",
        "positives",
        "masking",
        "size",
        "batch",
    ]
    asked = {f"milan_ablation_{part}" for part in parts}
    assert guide | asked | {"home_transfer"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_states_its_question_its_guess_and_what_it_costs(name: str):
    said = Path(study_files()[name]).read_text().split('"""')[1]
    study = find_study(name)
    assert study.question.endswith("?")
    assert said.partition("\n")[0].endswith("?")
    if name == "default_recipe":
        return
    assert "\nGuess: " in said
    assert f"\nRun: casas-ray tune {name}\n" in said
    (trials,) = re.findall(r"^Cost: (\d+) trainings", said, re.MULTILINE)
    assert int(trials) == len(study.trials())


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_VERDICTS))
def test_its_seeds_can_decide_at_least_one_arm_and_the_file_says_which(name: str):
    study = find_study(name)
    shows = can_show(len(study.seeds), len(study.arms), study.rope)
    assert shows.arms_that_can_pass >= 1
    said = Path(study_files()[name]).read_text()
    if "can be better or worse" in said:
        assert shows.arms_that_can_pass >= len(study.arms)


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_tried_quick_and_simulated(name: str):
    study = find_study(name).quickened().with_base({"data.simulated": True})
    assert len({trial.folder for trial in study.trials()}) == len(study.trials())


def test_fields_that_are_left_out_are_fields_of_the_data(small_set: PreparedSet):
    known = tuple(small_set.manifest["fields"])
    for name in ("milan_ablation_fields", "home_transfer"):
        study = find_study(name)
        for trial in study.trials():
            if fields := trial.recipe.model.fields:
                assert set(chosen_fields(trial.recipe.model, known)) == set(fields) & set(known)


def test_a_study_of_a_starting_points_name_is_that_recipe():
    assert find_study("milan_baseline").base == Recipe(name="milan_baseline")
