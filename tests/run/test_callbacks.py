"""Our callbacks of Ray, as far as they need none."""

import pickle

import pytest

from casas_ray.errors import SettingsError
from casas_ray.records.follow import Follower
from casas_ray.run.callbacks import LedgerLoggerCallback


def test_a_restored_tuner_is_told_that_its_callback_is_gone():
    callback = LedgerLoggerCallback(lambda trial, parameters: None, Follower([], []), None)
    restored = pickle.loads(pickle.dumps(callback))
    with pytest.raises(SettingsError, match="a restored Tuner has no LedgerLoggerCallback"):
        restored.setup()
