"""Settings: paths, types, refusals and suggestions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.catalog import find_base
from casas_ray.config import Machine, Recipe
from casas_ray.config.base import differences, flat, parse_overrides, split_overrides
from casas_ray.errors import SettingsError


def test_the_default_recipe_is_the_published_baseline():
    recipe = flat(Recipe())
    wanted = {
        "model.width": 512,
        "model.layers": 4,
        "model.heads": 8,
        "model.feed_forward": 2048,
        "model.dropout": 0.3,
        "model.fourier_bands": 12,
        "model.embedding": 512,
        "data.windows.length": 20,
        "optim.batch_size": 64,
        "optim.learning_rate": 2e-4,
        "optim.beta1": 0.9,
        "optim.beta2": 0.98,
        "optim.weight_decay": 0.01,
        "optim.warmup_share": 0.1,
        "optim.epochs": 5,
        "optim.gradient_clip": 1.0,
        "loss.clip_weight": 0.7,
        "loss.mlm_weight": 0.3,
        "loss.temperature_init": 0.03,
        "loss.temperature_learnable": True,
        "masking.share": 0.3,
        "masking.mean_span": 5.0,
    }
    assert {name: recipe[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("word", "problem", "hint"),
    [
        ("optim.epoch=3", "unknown setting 'optim.epoch'", "did you mean 'optim.epochs'?"),
        ("optim.epochs=many", "optim.epochs: Input should be a valid integer", ""),
        ("optim.max_steps=0", "optim.max_steps: Input should be greater than or equal to 1", ""),
        ("optim.max_steps=few", "optim.max_steps: Input should be a valid integer", ""),
        ("optim=3", "'optim' is a group of settings", "name one in it: batch_size"),
        ("seed.x=1", "'seed' is one setting", ""),
        ("model.heads=7", "heads 7 does not divide width 512", ""),
        ("loss.mlm_weight=-1", "loss.mlm_weight: Input should be greater", ""),
        ("loss.mlm_weight=NaN", "loss.mlm_weight: Input should be a finite number", ""),
        ("loss.temperature_init=3", "temperature_init 3.0 lies outside 0.01 to 0.5", ""),
        ("data.homes=milan,milan", "homes wants at least one name, and none of them twice", ""),
        ("data.windows.kind=hexagonal", "data.windows.kind: Input should be 'fixed_length'", ""),
    ],
)
def test_a_wrong_setting_is_answered_with_what_and_where(word: str, problem: str, hint: str):
    with pytest.raises(SettingsError) as caught:
        Recipe().replace(parse_overrides([word]))
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_a_word_without_an_equals_sign_is_no_setting():
    with pytest.raises(SettingsError, match="'epochs' is not a setting"):
        parse_overrides(["epochs"])


@given(
    st.integers(1, 1000),
    st.floats(1e-6, 1.0),
    st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), max_size=4, unique=True),
)
def test_any_valid_override_arrives_as_typed(epochs: int, rate: float, types: list[str]):
    words = [
        f"optim.epochs={epochs}",
        f"optim.learning_rate={rate!r}",
        f"data.drop_types={','.join(types)}",
    ]
    recipe = Recipe().replace(parse_overrides(words))
    assert recipe.optim.epochs == epochs
    assert recipe.optim.learning_rate == rate
    assert list(recipe.data.drop_types) == types


@given(st.text())
def test_any_text_as_an_override_is_taken_or_refused_with_a_settings_error(word: str):
    try:
        Recipe().replace(parse_overrides([word]))
    except SettingsError as error:
        assert error.exit_code == 2


def test_a_recipe_survives_json_with_the_same_digest():
    recipe = Recipe().replace({"optim.learning_rate": 0.1 + 0.2, "data.homes": "cairo"})
    again = Recipe.build(json.loads(recipe.model_dump_json()))
    assert again == recipe
    assert again.digest() == recipe.digest() != Recipe().digest()


def test_a_setting_that_came_later_leaves_digests_as_runs_on_disk_have_them():
    recipe = find_base("milan_baseline", here=False)
    assert (recipe.digest(), recipe.optim.digest()) == ("df094f0cdae1", "19501208f51f")
    short = recipe.replace({"optim.max_steps": 100})
    assert short.digest() != recipe.digest()
    # What `config` prints, and what a run of an earlier version says.
    said = recipe.model_dump(mode="json")
    assert Recipe.build(said) == recipe
    del said["optim"]["max_steps"], said["data"]["context"], said["loss"]["aggregates_weight"]
    del said["model"]["state_token"], said["model"]["time_harmonics"]
    assert Recipe.build(said) == recipe


@pytest.mark.parametrize(
    "change",
    [
        {"data.context.side": "past", "model.pooling": "mean"},
        {"model.time_harmonics": 1},
        {"model.state_token": True},
        {"loss.aggregates_weight": 0.1},
        {"loss.neighbours_weight": 0.1},
    ],
)
def test_a_setting_that_came_later_is_in_the_digest_once_it_says_something(change: dict):
    mean = Recipe().replace({"model.pooling": "mean"})
    assert mean.replace(change).digest() != mean.digest()
    assert mean.replace(change).digest() != Recipe().digest()


def test_other_data_is_read_with_as_much_around_a_window_as_before():
    recipe = Recipe().replace({"data.context.side": "both", "model.pooling": "mean"})
    other = recipe.with_data(Recipe().replace({"data.homes": "cairo"}).data)
    assert (other.data.homes, other.data.context.side) == (("cairo",), "both")


def test_settings_that_just_fit_are_taken_and_those_that_just_do_not_are_refused():
    fits = {"masking.grows_from": 0.3, "masking.swap": 0.5, "masking.keep": 0.25}
    assert Recipe().replace(fits).masking.grows_from == 0.3
    rotary = {"model.positions": "rotary", "model.heads": 4}
    assert Recipe().replace({**rotary, "model.width": 24}).model.width == 24
    for wrong in (
        {"masking.swap": 0.5, "masking.keep": 0.5},
        {"masking.grows_from": 0.31},
        {"masking.blackout": 0.1},  # everything is hidden anyway
        {**rotary, "model.width": 20},  # 5 a head
        {**rotary, "model.width": 28},  # 7 a head
    ):
        with pytest.raises(SettingsError):
            Recipe().replace(wrong)


def test_differences_name_exactly_what_changed():
    changed = Recipe().replace({"seed": 3, "model.layers": 2})
    assert differences(Recipe(), changed) == {"seed": 3, "model.layers": 2}


def test_overrides_go_to_recipe_machine_and_tracking_by_their_first_word():
    words = ["seed=1", "machine.workers=2", "tracking.project=mine"]
    recipe, machine, tracking = split_overrides(parse_overrides(words))
    assert (recipe, machine, tracking) == ({"seed": 1}, {"workers": 2}, {"project": "mine"})


def test_threads_do_not_depend_on_the_machine_unless_they_are_given():
    assert Machine(cpus_per_worker=0.5).threads == 1
    assert Machine(cpus_per_worker=4).threads == 1
    assert Machine(cpus_per_worker=4, threads_per_worker=2).threads == 2
