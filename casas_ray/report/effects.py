"""Crossed arms: what each setting does on average over the others, and what two do together."""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from casas_ray.records.rule import METRIC
from casas_ray.report.interval import t_interval
from casas_ray.report.pairs import Results
from casas_ray.report.settings_that_differ import recipe_of
from casas_ray.study import BASE_ARM

Cell = tuple[object, ...]
"""A value for each crossed setting."""


@dataclass(frozen=True)
class Effect:
    """A difference of the metric over the seeds that have every crossed arm."""

    name: str
    mean: float
    interval: tuple[float, float] | None
    """The 95 % t interval over seeds, of this effect alone; None for one seed."""

    seeds: int

    def as_dict(self) -> dict[str, object]:
        """As JSON can hold it."""
        ends = self.interval and list(self.interval)
        return {"effect": self.name, "mean": self.mean, "interval_95": ends, "seeds": self.seeds}


def effects(results: Results, arms: Sequence[str]) -> list[Effect]:
    """Main effects and interactions of pairs where these arms make a full grid of two settings or
    more, with the base or without it; otherwise none.

    An effect is against a setting's first value, which is the base's where the base is of the grid.
    """
    recipes = {arm: recipe for arm in arms if (recipe := recipe_of(arm, results))}
    without = [arm for arm in recipes if arm != BASE_ARM]
    for chosen in (list(recipes), without):
        grid = _grid({arm: recipes[arm] for arm in chosen})
        if grid:
            names, cells = grid
            return [each for each in _effects(names, cells, results) if each is not None]
    return []


def _grid(
    recipes: Mapping[str, Mapping[str, object]],
) -> tuple[list[str], dict[Cell, str]] | None:
    """The settings that differ, and the arm of each combination of their values."""
    paths = dict.fromkeys(path for recipe in recipes.values() for path in recipe)
    values = {path: [_hashable(recipe.get(path)) for recipe in recipes.values()] for path in paths}
    names = [path for path, held in values.items() if len(set(held)) > 1]
    cells = dict(zip(zip(*(values[name] for name in names), strict=True), recipes, strict=False))
    whole = math.prod(len(set(values[name])) for name in names)
    if len(names) < 2 or not len(cells) == len(recipes) == whole:
        return None
    return names, cells


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _effects(
    names: Sequence[str], cells: Mapping[Cell, str], results: Results
) -> Iterator[Effect | None]:
    levels = [list(dict.fromkeys(cell[at] for cell in cells)) for at in range(len(names))]
    known = _known(cells, results)
    for at, name in enumerate(names):
        first, *others = levels[at]
        for value in others:
            label = f"{_short(name)} {first} to {value}"
            yield _effect(label, known, {at: (first, value)})
    for one, other in itertools.combinations(range(len(names)), 2):
        for value, second in itertools.product(levels[one][1:], levels[other][1:]):
            label = f"{_short(names[one])} {value} with {_short(names[other])} {second}"
            ends = {one: (levels[one][0], value), other: (levels[other][0], second)}
            yield _effect(f"{label}, beyond their sum", known, ends)


def _short(path: str) -> str:
    return path.rpartition(".")[2]


def _known(cells: Mapping[Cell, str], results: Results) -> list[dict[Cell, float]]:
    """For each seed that has every cell, the metric by cell."""
    found = []
    for seed in dict.fromkeys(seed for _, seed in results):
        runs = {cell: results.get((arm, seed)) for cell, arm in cells.items()}
        values = {
            cell: run.best()[METRIC]
            for cell, run in runs.items()
            if run is not None and run.status == "finished"
        }
        if len(values) == len(cells) and all(map(math.isfinite, values.values())):
            found.append(values)
    return found


def _effect(
    name: str, known: Sequence[Mapping[Cell, float]], ends: Mapping[int, tuple[object, object]]
) -> Effect | None:
    """The contrast of these settings' two values, averaged over all values of the others."""
    each = [_contrast(values, ends) for values in known]
    if not each:
        return None
    return Effect(name, statistics.fmean(each), t_interval(each, 0.95), len(each))


def _contrast(values: Mapping[Cell, float], ends: Mapping[int, tuple[object, object]]) -> float:
    total, others = 0.0, set()
    for cell, value in values.items():
        if all(cell[at] in pair for at, pair in ends.items()):
            total += value * math.prod(
                1 if cell[at] == pair[1] else -1 for at, pair in ends.items()
            )
            others.add(tuple(part for at, part in enumerate(cell) if at not in ends))
    return total / len(others)
