"""Tables of what lies on disk, for a terminal; made here, printed by the CLI."""

from collections.abc import Sequence

from casas_ray.cli.fitting import Table
from casas_ray.cli.tables import heading
from casas_ray.files import shown
from casas_ray.records.on_disk import OnDisk, RunOnDisk

_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def runs(held: Sequence[OnDisk]) -> list[Table]:
    """A table a folder of a study or of a run, its place as the title."""
    return [_table(each) for each in held]


def _table(held: OnDisk) -> Table:
    table = Table(title=heading(shown(held.folder), held.caveats), keys=2 if held.study else 1)
    if held.study:
        table.add_column("arm", no_wrap=True)
    metrics = list(dict.fromkeys(run.metric.removeprefix("val/") for run in held.runs))
    for name in ("seed", "state", f"best {', '.join(metrics)}", "step", "age"):
        table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for run in held.runs:
        table.add_row(*([run.arm] if held.study else []), *_cells(run))
    return table


def _cells(run: RunOnDisk) -> list[str]:
    best = "-" if run.best is None else f"{run.best:.3f}"
    step = f"{run.step} of {run.steps}" if run.steps else "-"
    age = "-" if run.age_seconds is None else age_of(run.age_seconds)
    return [str(run.seed), run.state, best, step, age]


def age_of(seconds: float) -> str:
    """A span in the largest unit that fits it: `3 min`, `2 d`."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds // size:.0f} {unit}"
