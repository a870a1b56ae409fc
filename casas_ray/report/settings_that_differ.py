"""The settings in which a study's arms differ, read off what was trained."""

from collections.abc import Mapping, Sequence

from casas_ray.report.pairs import Results


def settings_that_differ(
    results: Results, arms: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """The settings that differ between arms, and each arm's values of them as text; an arm of which
    nothing was started has none."""
    recipes = {arm: recipe_of(arm, results) for arm in arms}
    every = dict.fromkeys(path for recipe in recipes.values() for path in recipe)
    known = [recipe for recipe in recipes.values() if recipe]
    paths = [path for path in every if len({str(recipe.get(path)) for recipe in known}) > 1]
    return paths, {
        arm: [str(recipe[path]) if path in recipe else "-" for path in paths]
        for arm, recipe in recipes.items()
    }


def recipe_of(arm: str, results: Results) -> Mapping[str, object]:
    """What the arm was trained with, by setting, without its seed; empty before a first start."""
    recipes = (run.info.get("recipe", {}) for (name, _), run in results.items() if name == arm)
    found = next((recipe for recipe in recipes if recipe), {})
    return {path: value for path, value in found.items() if path != "seed"}
