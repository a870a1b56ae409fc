"""A study as one HTML page that needs no network, and reads with scripts off and on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from casas_ray.names import plain
from casas_ray.records.forecast import read_forecast
from casas_ray.records.run_result import RunResult
from casas_ray.records.study_record import StudyRecord
from casas_ray.report import svg
from casas_ray.report.decision import DECIDED, Decision
from casas_ray.report.forecast_scored import scored
from casas_ray.report.pairs import Results
from casas_ray.report.provenance import provenance_of
from casas_ray.report.said import (
    difference_said,
    effect_said,
    in_short,
    open_said,
    rule_said,
    verdict_said,
)
from casas_ray.report.settings_that_differ import settings_that_differ
from casas_ray.report.table import MAIN_METRIC, METRICS, Spread, StudyTable, curves, study_table
from casas_ray.study import BASE_ARM

_TEMPLATE = "page.html.j2"
_COLOURS = 8
"""As many arms can be told apart by colour; of more, only those that are pointed at."""

_SHOWN_POINTS = 400
"""Points of a curve that a screen can show."""


@dataclass(frozen=True)
class Strip:
    """One arm's row in the picture of verdicts."""

    arm: str
    drawing: Markup
    effect: str
    verdict: str
    kind: str
    """The verdict as a CSS class."""


@dataclass(frozen=True)
class Unfinished:
    """A training that did not finish, and the last that is known of it."""

    name: str
    status: str
    step: int
    error: str


def page(record: StudyRecord) -> str:
    """The page of a study's runs, as the ledgers are now."""
    results = record.results()
    table = study_table(results, record.rule)
    arms = [row.name for row in table.arms]
    paths, values = settings_that_differ(results, arms)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = plain
    text = Path(__file__).with_name(_TEMPLATE).read_text(encoding="utf-8")
    strips, axis = _strips(table)
    expected = read_forecast(record.folder)
    return environment.from_string(text).render(
        record=record,
        table=table,
        metric=MAIN_METRIC.removeprefix("val/"),
        answer=in_short(table.rule, table.decisions),
        rule=[*rule_said(table.rule, table.decisions), *open_said(table.rule, table.decisions)],
        strips=strips,
        axis=axis,
        paths=paths,
        values=values,
        columns=[name.removeprefix("val/") for name in METRICS],
        rows=_rows(table),
        drawing=_curves(arms, results),
        legend=list(zip(arms, _colours(arms), strict=True)),
        effects=[(each.name, difference_said(each.mean, each.interval)) for each in table.effects],
        unfinished=_unfinished(results),
        forecast=expected,
        scored=scored(expected, results) if expected else [],
        provenance=provenance_of(record, results),
    )


def _strips(table: StudyTable) -> tuple[list[Strip], Markup]:
    decided = table.decisions
    ends = [end for one in decided.values() for end in one.interval or ()]
    each = [value for one in decided.values() for value in one.pairs.differences]
    rope = table.rule.rope
    scale = svg.Scale.around([*ends, *each, -1.5 * rope, 1.5 * rope])
    strips = [_strip(arm, one, scale, rope) for arm, one in decided.items()]
    return strips, svg.axis(scale)


def _strip(arm: str, one: Decision, scale: svg.Scale, rope: float) -> Strip:
    seeds = list(one.pairs.by_seed.items())
    drawing = svg.interval_row(scale, rope, seeds, one.effect, one.interval)
    kind = one.verdict.replace(" ", "-") if one.verdict in DECIDED else "open"
    return Strip(arm, drawing, effect_said(one), verdict_said(one), kind)


def _rows(table: StudyTable) -> list[dict[str, object]]:
    """The table's rows, ours and the baselines', as cells with the number that sorts them."""
    rows: list[dict[str, object]] = []
    for row in table.arms:
        decision = row.decision
        rows.append(
            {
                "name": row.name,
                "seeds": row.seeds,
                "cells": [_cell(row.metrics[metric]) for metric in METRICS],
                "effect": effect_said(decision) if decision else "-",
                "sort": decision.effect if decision and decision.effect is not None else 0.0,
                "p": "-"
                if decision is None or decision.holm_p is None
                else f"{decision.holm_p:.3g}",
                "verdict": verdict_said(decision) if decision else _no_verdict(row.name),
                "status": row.status,
            }
        )
    untrained = [_cell(table.untrained.get(metric)) for metric in METRICS]
    chance = [
        (f"{table.chance[metric]:.3f}", table.chance[metric])
        if metric in table.chance
        else ("-", -1.0)
        for metric in METRICS
    ]
    blank = {"seeds": "", "effect": "", "sort": 0.0, "p": "", "verdict": "", "status": "baseline"}
    rows += [{"name": "untrained", "cells": untrained, **blank}]
    return [*rows, {"name": "chance", "cells": chance, **blank}]


def _no_verdict(arm: str) -> str:
    return "-" if arm == BASE_ARM else "judged on another gallery than the base"


def _cell(spread: Spread | None) -> tuple[str, float]:
    return ("-", -1.0) if spread is None else (str(spread), spread.mean)


def _curves(arms: Sequence[str], results: Results) -> Markup:
    colours = dict(zip(arms, _colours(arms), strict=True))
    thin = [
        svg.Curve(arm, _thinned(_validations(run)), "seed", colours[arm])
        for (arm, _), run in results.items()
    ]
    thick = [
        svg.Curve(arm, _thinned(points), "mean", colours[arm])
        for arm, points in curves(results).items()
    ]
    title = f"{MAIN_METRIC} over steps, thin lines seeds, thick lines their mean"
    return svg.curves([line for line in [*thin, *thick] if line.points], title)


def _colours(arms: Sequence[str]) -> list[int]:
    """A colour for each arm; the base has 0, and where they are too many all others have 9."""
    many = len(arms) > _COLOURS
    return [0 if index == 0 else 9 if many else index for index in range(len(arms))]


def _validations(run: RunResult) -> list[tuple[int, float]]:
    found = ((row["step"], row.get("metrics", {}).get(MAIN_METRIC)) for row in run.rows)
    return [(step, value) for step, value in found if isinstance(value, float)]


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    every = max(1, len(points) // _SHOWN_POINTS)
    return points if every == 1 else [*points[:-1:every], points[-1]]


def _unfinished(results: Results) -> list[Unfinished]:
    return [
        Unfinished(f"{arm}-seed{seed}", run.status, run.step, run.error)
        for (arm, seed), run in results.items()
        if run.status != "finished"
    ]
