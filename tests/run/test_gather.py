"""What trainings read is gathered once for those that read the same, and refused before any."""

import numpy as np
import pytest

from casas_ray.config import Machine, Recipe
from casas_ray.errors import DataError, SettingsError
from casas_ray.run.gather import gather_study
from casas_ray.study import Arm, Study, each


def nobody(*told: object) -> None:
    """Hears of the steps of a preparation."""


def test_trials_share_their_data_unless_their_captions_go_through_another_text_model(
    small_recipe: Recipe,
):
    arms = [*each("loss.mlm_weight", [0.1]), *each("text.max_tokens", [8])]
    study = Study(question="?", base=small_recipe, arms=arms, seeds=(0,))
    base, same, other = gather_study(study, Machine(), nobody, nobody)
    assert base is same
    assert other.prepared.fingerprint == base.prepared.fingerprint
    assert not np.array_equal(other.vectors_NT, base.vectors_NT)


def test_every_set_is_there_before_the_first_caption_vector(small_recipe: Recipe):
    captions = {"data.simulated": True, "data.captions.seed": 77}  # which nobody has vectors of
    arms = [
        *each("loss.mlm_weight", [0.1]),
        Arm("theirs", {"data.simulated": False, "data.homes": "nobodys"}),
    ]
    study = Study(question="?", base=small_recipe.replace(captions), arms=arms, seeds=(0,))
    steps: list[object] = []
    with pytest.raises(DataError, match="no log of home 'nobodys'"):
        gather_study(study, Machine(), nobody, lambda *told: steps.append(told))
    assert steps == []


def test_every_trial_is_checked_before_any_trains(small_recipe: Recipe):
    arms = each("optim.batch_size", [4096, 16])  # the last of them would do
    study = Study(question="?", base=small_recipe, arms=arms, seeds=(0,))
    with pytest.raises(DataError, match="are fewer than one batch of 4096"):
        gather_study(study, Machine(), nobody, nobody)


def test_a_batch_that_some_number_of_elastic_workers_cannot_share_is_refused(small_recipe: Recipe):
    study = Study(question="?", base=small_recipe, arms=[], seeds=(0,))
    with pytest.raises(SettingsError, match="batch_size 32 does not divide among 3 workers"):
        gather_study(study, Machine(workers=(1, 4)), nobody, nobody)
    assert len(gather_study(study, Machine(workers=(1, 2)), nobody, nobody)) == 1
