"""Tables of what was trained, for a terminal; made here, printed by the CLI."""

from collections.abc import Mapping, Sequence

from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines
from casas_ray.report.said import difference_said, effect_said, open_said, rule_said, verdict_said
from casas_ray.report.table import MAIN_METRIC, METRICS, Spread, StudyTable
from casas_ray.report.verdicts import ArmVerdict


def comparison(table: StudyTable, title: str) -> Table:
    """The arms of a study with their verdicts, beside chance and the untrained model."""
    shown = Table(title=title)
    shown.add_column("arm", no_wrap=True)
    shown.add_column("seeds", justify="right")
    shown.add_column("verdict")
    shown.add_column("change [95 %]", justify="right")
    for metric in METRICS:
        shown.add_column(metric.removeprefix("val/"), justify="right")
    galleries = bool(table.strangers)  # told in each row where one row of chance would be untrue
    for name in ("windows", "chance") if galleries else ():
        shown.add_column(name, justify="right")
    tells_status = any(row.status != "finished" for row in table.arms)
    if tells_status:
        shown.add_column("status", no_wrap=True)
    for row in table.arms:
        one = row.decision
        said = [verdict_said(one), effect_said(one)] if one else ["-", "-"]
        values = [str(row.metrics[metric] or "-") for metric in METRICS]
        own = [str(row.gallery or "-"), _number(row.chance, MAIN_METRIC)] if galleries else []
        status = [row.status] if tells_status else []
        shown.add_row(row.name, row.seeds, *said, *values, *own, *status)
    shown.add_section()
    blank = [""] if tells_status else []
    of_base = ", base" if galleries else ""
    own = [str(table.gallery or "-"), _number(table.chance, MAIN_METRIC)] if galleries else []
    untrained = [str(table.untrained.get(metric) or "-") for metric in METRICS]
    shown.add_row(f"untrained{of_base}", *[""] * 3, *untrained, *own, *blank, style="dim")
    chance = [_number(table.chance, metric) for metric in METRICS]
    shown.add_row(f"chance{of_base}", *[""] * 3, *chance, *own, *blank, style="dim")
    shown.caption = lines(_caption(table))
    return shown


def crossed(table: StudyTable) -> Table:
    """What each crossed setting does alone, and two together."""
    shown = Table(
        title="Crossed arms",
        caption=f"{MAIN_METRIC.removeprefix('val/')}, mean over the other settings, with its 95 % "
        f"interval over {table.effects[0].seeds} seeds; each by itself, no part of the verdicts.",
    )
    shown.add_column("setting")
    shown.add_column("change [95 %]", justify="right")
    for effect in table.effects:
        shown.add_row(effect.name, difference_said(effect.mean, effect.interval))
    return shown


def _caption(table: StudyTable) -> list[str]:
    metric = MAIN_METRIC.removeprefix("val/")
    windows = "each row's own" if table.strangers else f"{table.gallery}"
    said = [
        f"Validation days, {windows} windows; mean ± standard deviation over seeds, at the "
        f"step with the best {metric} (of recall@1, 5, 10 both ways). "
        "Change: of that metric from the base's, paired by seed. Chosen on these days, so "
        "flattering; " + _test_days(table.looks)
    ]
    if table.strangers:
        said.append(
            f"No change is told of {', '.join(table.strangers)}: ranked among other windows or "
            f"captions than the base, so neither recall nor clip_loss compare; `chance` is that of "
            f"{metric} in the row's own windows."
        )
    said = [" ".join([*said, *table.remarks])]
    decided = table.decisions
    if not decided:
        return said
    return [*said, " ".join(rule_said(table.rule, decided)), *open_said(table.rule, decided)]


def _test_days(looks: Sequence[str]) -> str:
    if not looks:
        return "the test days have not been looked at."
    return f"THE TEST DAYS HAVE BEEN LOOKED AT: {'; '.join(looks)}."


def _number(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.3f}" if name in values else "-"


_MAIN_METRICS = (
    "recall_mean",
    "recall@1",
    "recall@10",
    "ndcg_mean",
    "probe_macro_f1",
    "probe_weighted_f1",
)


def verdicts(arms: Sequence[ArmVerdict], title: str) -> Table:
    """What runs earned on held-out days beside what is cheaper: of one recipe every metric, of
    several recipes a row each."""
    return _one_recipe(arms[0], title) if len(arms) == 1 else _recipes(arms, title)


def _one_recipe(arm: ArmVerdict, title: str) -> Table:
    shown = Table(title=title)
    shown.add_column("metric", no_wrap=True)
    for name in arm.columns:
        shown.add_column(name, justify="right")
    for metric in arm.columns["trained"]:
        cells = [
            str(column[metric]) if metric in column else "-" for column in arm.columns.values()
        ]
        shown.add_row(metric, *cells)
    shown.caption = _said_of([arm]) or ""
    return shown


def _recipes(arms: Sequence[ArmVerdict], title: str) -> Table:
    shown = Table(title=title)
    shown.add_column("arm", no_wrap=True)
    shown.add_column("seeds", justify="right")
    known = {name.partition("/")[2]: name for name in arms[0].columns["trained"]}
    metrics = [known[name] for name in _MAIN_METRICS if name in known]
    for metric in metrics:
        shown.add_column(metric, justify="right")
    rows = [(arm.arm, str(len(arm.seeds)), arm.columns["trained"]) for arm in arms]
    baselines = [
        (name, "", column) for name, column in arms[0].columns.items() if name != "trained"
    ]
    for label, seeds, column in rows:
        shown.add_row(label, seeds, *_cells(column, metrics))
    shown.add_section()
    for label, seeds, column in baselines:
        shown.add_row(f"{label}, {arms[0].arm}", seeds, *_cells(column, metrics), style="dim")
    shown.caption = _said_of(arms) or ""
    return shown


def _cells(column: Mapping[str, Spread], metrics: Sequence[str]) -> list[str]:
    return [str(column[metric]) if metric in column else "-" for metric in metrics]


def _said_of(arms: Sequence[ArmVerdict]) -> str | None:
    said = []
    counted = [arm for arm in arms if "sensor counts" in arm.columns]
    for arm in counted:
        of_arm = f" ({arm.arm})" if len(arms) > 1 else ""
        text = ", ".join(f"{low:+.3f} to {high:+.3f}" for low, high in arm.intervals)
        said.append(f"{text or 'none, for there is one day only'}{of_arm}")
    spread = (
        ["mean ± standard deviation over seeds"] if len(arms) > 1 or len(arms[0].seeds) > 1 else []
    )
    if said:
        spread.append(
            "probe_macro_f1, trained less sensor counts, 95 % interval over whole days drawn "
            f"again: {'; '.join(said)}."
        )
    return "; ".join(spread) or None


def metrics(values: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """Named columns of metrics side by side."""
    shown = Table(title=title)
    shown.add_column("metric", no_wrap=True)
    for name in values:
        shown.add_column(name, justify="right")
    for metric in next(iter(values.values())):
        cells = [f"{column[metric]:.3f}" if metric in column else "-" for column in values.values()]
        shown.add_row(metric, *cells)
    return shown
