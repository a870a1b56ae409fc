"""What a cluster answers: found among whatever else its log holds, and refused where it is another
version."""

import pytest

from casas_ray.config import Machine
from casas_ray.errors import ClusterError, RefusedError, SettingsError
from casas_ray.run.cluster.answer import answer_in, line_of, refusal
from casas_ray.run.cluster.checks import refuse_other_versions
from casas_ray.run.cluster.errand import _mute, _raise_refusal
from casas_ray.run.cluster.look import versions
from casas_ray.run.room import fits

ODD = {"folder": "caf\u00e9 \x1b[31m", "here": ["a\nb"]}


class At:
    """What an error names of a dashboard."""

    address = "http://127.0.0.1:8265"


def test_an_answer_is_found_whole_among_other_lines():
    log = f"loading ray ...\n{line_of({'old': 1})}\n{line_of(ODD)}\nmore\n"
    assert answer_in(log) == ODD
    assert line_of(ODD).isascii()
    assert answer_in("") is None
    assert answer_in(line_of(ODD)[:-3]) is None
    assert answer_in(line_of(ODD)) is None  # its line has not ended


def test_a_refusal_there_is_the_same_error_here():
    error = RefusedError("another log of 'x'.", hint="move it away.")
    with pytest.raises(RefusedError, match="on the cluster: another log of 'x'") as caught:
        _raise_refusal(refusal(error))
    assert caught.value.hint == "move it away."
    with pytest.raises(ClusterError):
        _raise_refusal({"refused": 99, "problem": "x"})


@pytest.mark.parametrize("name", ["python", "ray", "casas_ray"])
def test_a_node_with_another_version_is_named(name: str):
    good = {"versions": versions()}
    refuse_other_versions(At.address, [good, good])
    bad = {"versions": {**versions(), name: "0.0.1"}}
    with pytest.raises(ClusterError, match=rf"has {name} 0\.0\.1, this machine") as caught:
        refuse_other_versions(At.address, [good, bad])
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (127, "has no casas-ray command"),
        (SettingsError.exit_code, "is another version"),
        (1, "could not be asked: KeyError: 'x'"),
        (None, "could not be asked: KeyError: 'x'"),
    ],
)
def test_who_does_not_answer_is_told_by_how_it_ended(code: int | None, said: str):
    error = _mute(At(), code, "", "Traceback\nKeyError: 'x'\n")  # type: ignore[arg-type]
    assert (said in error.problem, error.exit_code) == (True, 7)


def test_a_cluster_that_adds_nodes_is_not_asked_whether_it_is_large_enough():
    fits(Machine(autoscaled=True, workers=64, gpus_per_worker=8))  # joins no Ray
