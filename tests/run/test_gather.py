"""What trainings read is gathered once for those that read the same, and refused before any."""

import numpy as np
import pytest

from casas_ray.config import Machine, Recipe
from casas_ray.errors import DataError
from casas_ray.run.gather import gather_study
from casas_ray.study import Study, each


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


def test_every_trial_is_checked_before_any_trains(small_recipe: Recipe):
    arms = each("optim.batch_size", [4096, 16])  # the last of them would do
    study = Study(question="?", base=small_recipe, arms=arms, seeds=(0,))
    with pytest.raises(DataError, match="are fewer than one batch of 4096"):
        gather_study(study, Machine(), nobody, nobody)
