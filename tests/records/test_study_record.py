"""A study's folder: found again by its recipes and its data, and a new one where that is asked."""

from casas_ray.config import DataConfig, Recipe, Tracking
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.prepare import prepare
from casas_ray.records.study_record import lay_out, read_study
from casas_ray.study import Study, each


def asked_of(recipe: Recipe, name: str) -> Study:
    arms = each("loss.mlm_weight", [0.1, 0.2])
    return Study(question="?", base=recipe, arms=arms, seeds=(0, 1), name=name)


def test_the_same_study_has_its_folder_again_and_other_data_or_a_fresh_one_another(
    small_recipe: Recipe, small_set: PreparedSet
):
    study = asked_of(small_recipe, "folders")
    four_days = DataConfig.build({"simulated": True, "simulate": {"days": 4}})
    other_set = prepare(four_days, logs_for(four_days))

    def folder(prepared: PreparedSet, *, fresh: bool = False) -> str:
        return lay_out(study, Tracking(), [prepared] * 6, fresh=fresh)[0].folder.name

    first = folder(small_set)
    assert folder(small_set) == first
    assert folder(other_set) != first
    assert [folder(small_set, fresh=True) for _ in range(2)] == [f"{first}-2", f"{first}-3"]
    assert folder(small_set) == first


def test_results_come_arm_by_arm_and_each_run_lies_in_its_trials_folder(
    small_recipe: Recipe, small_set: PreparedSet
):
    study = asked_of(small_recipe, "results")
    record, runs = lay_out(study, Tracking(), [small_set] * 6)
    again = read_study(record.folder)
    assert again == record
    names = ("base", "mlm_weight=0.1", "mlm_weight=0.2")
    assert list(again.results()) == [(name, seed) for name in names for seed in (0, 1)]
    assert {(run.arm, run.recipe.seed): run.folder for run in runs} == {
        key: result.folder for key, result in again.results().items()
    }
