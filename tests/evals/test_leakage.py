"""Every way of dealing days stands beside the others, so that a flattering one is seen."""

import json

import pytest

from casas_ray.cli.console import out
from casas_ray.cli.leakage import by_protocol
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.evals.evaluation import Contender
from casas_ray.evals.features.hand import COUNTS
from casas_ray.evals.leakage import as_dict, gains, leakage


@pytest.fixture(scope="module")
def nine_days(small_recipe: Recipe) -> PreparedSet:
    data = small_recipe.data.replace({"simulate.days": 9})
    return prepare(data, logs_for(data))


def test_the_same_vectors_are_judged_by_every_protocol(
    nine_days: PreparedSet, capsys: pytest.CaptureFixture[str]
):
    found = leakage(nine_days, split="test", contenders=[Contender(COUNTS)])
    assert set(found) == {"day", "random-days", "rolling", "random-windows"}
    assert found["random-windows"].extra["caveats"][-1] == "windows at random: LEAKS"
    above = gains(found)
    assert set(above["rolling"].values()) == {0.0}
    for protocol, each in found.items():
        wanted = each.named("sensor counts").scores()["macro_f1"]
        honest = found["rolling"].named("sensor counts").scores()["macro_f1"]
        assert above[protocol]["sensor counts"] == pytest.approx(wanted - honest)
    assert json.loads(json.dumps(as_dict(found)))["above_rolling"] == above
    out.print(by_protocol(found, "made up"))
    text = " ".join(capsys.readouterr().out.split())
    assert "random-windows LEAKS" in text
    assert f"({above['random-windows']['sensor counts']:+.3f})" in text


@pytest.mark.slow
def test_a_home_is_shown_by_all_protocols_in_one_call(run, nine_days: PreparedSet):
    code, out, _ = run("evaluate", nine_days.folder.name, "--protocol", "leakage")
    assert code == 0
    text = " ".join(out.split())
    assert "(SIMULATED home)" in text
    for name in ("sensor counts", "rich counts", "hand mix", "rich + past", "majority"):
        assert name in text


def test_a_run_has_trained_on_days_that_would_be_dealt(run, whole_run):
    code, _, err = run("evaluate", whole_run, "--protocol", "leakage")
    assert code == 2
    assert "--protocol leakage deals days anew" in err
