"""Sets in place of homes, through the functions for notebooks."""

from pathlib import Path

import pytest
from support.alignment_json import files
from support.recipes import SMALL

import casas_ray as cr
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import RefusedError, SettingsError
from casas_ray.study import each

OFF = cr.Tracking(mode="disabled")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedSet:
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    windows, vocab = files(tmp_path)
    return cr.prepare_json(train=windows["train"], val=windows["val"], vocab=vocab)


@pytest.fixture
def recipe(text_model: str) -> cr.Recipe:
    changes = {"text.model": text_model, "optim.batch_size": 3, "optim.epochs": 1}
    return cr.Recipe(name="small").replace(SMALL | changes)


def test_a_run_trains_on_a_set_that_is_given_or_named(prepared: PreparedSet, recipe: cr.Recipe):
    run = cr.train(recipe, data=prepared, machine="debug", tracking=OFF)
    assert run.status == "finished"
    assert run.info["fingerprint"] == prepared.fingerprint
    named = recipe.replace({"data.homes": prepared.folder.name})
    assert cr.train(named, machine="debug", tracking=OFF).folder == run.folder
    again = cr.load(run.folder).recipe
    assert cr.prepare(again).folder == prepared.folder
    assert cr.train(again, machine="debug", tracking=OFF).folder == run.folder


def test_a_study_trains_on_a_set_in_a_folder_of_its_own(
    prepared: PreparedSet, recipe: cr.Recipe, tmp_path: Path
):
    arms = each("loss.mlm_weight", [0.1])
    study = cr.Study(question="?", base=recipe, arms=arms, seeds=(0,), name="mine")
    folder = tmp_path / "out"
    words = {"machine": "debug", "tracking": OFF, "folder": folder}
    record = cr.tune(study, data=prepared, **words)
    assert record.folder == folder
    assert record.homes == (prepared.manifest["home"],)
    assert cr.tune(study, data=prepared, **words).sets == record.sets
    with pytest.raises(RefusedError, match=r"it differs in optim\.epochs"):
        cr.tune(study.with_base({"optim.epochs": 2}), data=prepared, **words)


def test_an_arm_that_prepares_otherwise_is_refused_on_a_set(
    prepared: PreparedSet, recipe: cr.Recipe
):
    arms = each("data.windows.length", [10])
    study = cr.Study(question="?", base=recipe, arms=arms, seeds=(0,))
    with pytest.raises(SettingsError, match="has no effect on a prepared set"):
        cr.tune(study, data=prepared, machine="debug")
