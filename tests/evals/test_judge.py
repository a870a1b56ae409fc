"""A look at held-out days: what a run earned, what is cheaper, and that it is taken once."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.evals.evaluation import BASELINES, Contender
from casas_ray.evals.features.hand import COUNTS, MIX
from casas_ray.evals.judge import evaluate, evaluate_set, probe_validation, recorded_look
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.loader.window_store import WindowStore
from casas_ray.training.validation import held_out

SHORT = (Contender(COUNTS), Contender(MIX))


def test_a_verdict_has_probes_beside_baselines_and_a_look_leaves_the_test_days(
    whole_run: Path, tmp_path: Path
):
    run = Path(shutil.copytree(whole_run, tmp_path / "run"))
    known = {}
    seen = probe_validation(TrainedRun.open(run), known=known).verdict
    assert {name.partition("/")[0] for name in seen.columns["trained"]} == {"val"}
    assert not (run / "test.json").exists()
    assert not (run / "evaluation.json").exists()
    look = evaluate(TrainedRun.open(run), known=known)
    assert len(known) == 2  # of validation and of test days
    verdict, columns = look.verdict, look.verdict.columns
    assert json.loads((run / "test.json").read_text())["majority"] == columns["majority"]
    for name in ("trained", "untrained", "sensor counts", "majority"):
        assert 0.0 <= columns[name]["test/probe_macro_f1"] <= 1.0
    assert columns["trained"]["test/probe_macro_f1"] > columns["majority"]["test/probe_macro_f1"]
    assert verdict.interval is None  # there is one test day, and an interval of one day is none
    opened = TrainedRun.open(run)
    store = WindowStore.of(opened.data.prepared.windows("test"))
    vectors = torch.from_numpy(opened.data.vectors_NT)
    wanted = held_out(
        opened.model, store, vectors, opened.recipe, first=0, total=len(store), longest=20
    )
    assert columns["trained"]["test/mlm_loss"] == wanted["mlm_loss"]
    assert columns["trained"]["test/clip_loss"] < columns["untrained"]["test/clip_loss"]
    rows = {row.name: row for row in look.evaluation.rows}
    assert rows["trained"].scores()["macro_f1"] == columns["trained"]["test/probe_macro_f1"]
    assert [name for name, row in rows.items() if row.is_ours] == ["trained", "trained + hand mix"]
    named = {contender.name for contender in BASELINES}
    assert named | {"majority", "untrained", "captions alone"} == {
        name for name, row in rows.items() if not row.is_ours
    }
    held = json.loads((run / "evaluation.json").read_text())
    assert held["verdicts"]["trained"].startswith("trained (window), macro F1 ")
    assert "one day alone decides nothing" in held["verdicts"]["trained"]
    again = recorded_look(run)
    assert again.evaluation.as_dict() == look.evaluation.as_dict()


@pytest.mark.parametrize("content", [b"{", b'{"protocol": "day"}', b"[]", b'{"rows": [3]}'])
def test_a_damaged_evaluation_is_named(content: bytes, whole_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "test.json").write_text('{"step": 1, "caveats": [], "trained": {}}')
    assert recorded_look(run).evaluation is None  # a verdict from before it was kept
    (run / "evaluation.json").write_bytes(content)
    with pytest.raises(DataError, match=r"evaluation\.json is damaged") as caught:
        recorded_look(run)
    assert "the verdict beside it stands" in caught.value.hint


@pytest.mark.parametrize("protocol", ["day", "random-days", "random-windows"])
def test_a_home_is_judged_without_a_run(small_set: PreparedSet, protocol: str):
    if protocol == "random-days":  # two days cannot be dealt to four blocks
        with pytest.raises(DataError, match="windows to fit on"):
            evaluate_set(small_set, split="val", protocol=protocol, contenders=SHORT)
        return
    found = evaluate_set(small_set, split="val", protocol=protocol, contenders=SHORT)
    assert [row.name for row in found.rows] == ["majority", "sensor counts", "hand mix"]
    assert found.extra["caveats"][0] == "SIMULATED home"
    assert ("windows at random: LEAKS" in found.extra["caveats"]) == (protocol != "day")
    assert (
        found.named("hand mix").scores()["macro_f1"] > found.named("majority").scores()["macro_f1"]
    )
