"""Machines whose workers may become fewer or more, and parts of a GPU."""

import pytest

from casas_ray.config import Machine
from casas_ray.config.base import parse_overrides
from casas_ray.errors import SettingsError


@pytest.mark.parametrize("word", ["workers=[1,4]", "workers=1,4"])
def test_two_numbers_are_the_fewest_and_the_most_workers(word: str):
    machine = Machine().replace(parse_overrides([word]))
    assert (machine.fewest_workers, machine.most_workers, machine.is_elastic) == (1, 4, True)
    assert machine.model_dump(mode="json")["workers"] == [1, 4]
    assert Machine.build(machine.model_dump(mode="json")) == machine


def test_one_number_is_both_and_is_kept_as_it_was():
    machine = Machine(workers=2)
    assert (machine.fewest_workers, machine.most_workers, machine.is_elastic) == (2, 2, False)
    assert machine.model_dump(mode="json")["workers"] == 2


@pytest.mark.parametrize("value", [[4, 1], [0, 4], [1, 2, 3], "x,y", 0, 1.5])
def test_what_is_no_number_of_workers_is_refused(value: object):
    with pytest.raises(SettingsError, match="workers"):
        Machine().replace({"workers": value})


def test_a_part_of_a_gpu_is_for_trainings_of_one_worker():
    assert Machine(gpus_per_worker=0.25).gpus_per_worker == 0.25
    with pytest.raises(SettingsError, match="NCCL refuses; take whole GPUs, or workers=1"):
        Machine().replace({"gpus_per_worker": 0.25, "workers": 2})
    with pytest.raises(SettingsError, match="NCCL refuses"):
        Machine().replace({"gpus_per_worker": 0.25, "workers": [1, 2]})
    with pytest.raises(SettingsError, match="neither whole nor a part of one GPU"):
        Machine().replace({"gpus_per_worker": 1.5})
