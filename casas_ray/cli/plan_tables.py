"""What a plan shows: arms with what each takes, the whole, what seeds can show, what runs again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from casas_ray.cli.fitting import Table
from casas_ray.cli.tables import heading
from casas_ray.report.can_show import CanShow, can_show
from casas_ray.study import BASE_ARM, Study, as_written, describe_arm

if TYPE_CHECKING:
    from casas_ray.records.again import Stale
    from casas_ray.records.forecast import ArmForecast, Forecast

_COUNTS = (3, 4, 5, 6, 7, 8, 10)
"""Of seeds, whose reach is shown beside that of the study's own."""


def plan(study: Study, caveats: Sequence[str], expected: "Forecast | None" = None) -> Table:
    """The arms of a study, what each changes, how many trainings that makes, and what a trial of
    each takes where that is known; the caveats are those of its data."""
    trials = study.trials()
    shown = Table(
        title=heading(study.name, caveats, quick=study.quick),
        caption=f"{len(study.arms) + 1} arms x {len(study.seeds)} seeds = {len(trials)} trials; "
        f"base: {study.base.name}, home {study.base.data.label}{_at_most(study)}.",
    )
    # Not whole: sixteen long names would leave no room for what they change.
    shown.add_column("arm")
    shown.add_column("changes")
    shown.add_column("seeds")
    known = expected.arms if expected else {}
    for head in ("a trial", "memory") if known else ():
        shown.add_column(head, justify="right")
    seeds = _seeds(study.seeds)
    base = _changes(study.base_values())
    rows = {BASE_ARM: f"nothing ({base})" if base else "nothing"}
    rows |= {arm.name: _changes(describe_arm(study, arm)) for arm in study.arms}
    for name, changes in rows.items():
        shown.add_row(name, changes, seeds, *(_takes(known.get(name)) if known else ()))
    return shown


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 4 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _changes(values: dict[str, object]) -> str:
    return ", ".join(f"{path}={as_written(value)}" for path, value in values.items())


def _at_most(study: Study) -> str:
    steps = study.base.optim.max_steps
    return "" if steps is None else f", at most {steps:,} step{'s' if steps > 1 else ''} a trial"


def _takes(one: "ArmForecast | None") -> tuple[str, str]:
    if one is None:
        return "?", "?"
    gpu = f" + {_size(one.gpu_memory_mib * 2**20)} GPU" if one.gpu_memory_mib else ""
    # A run too short for a row of training metrics tells none.
    memory = _size(one.memory_mib * 2**20) if one.memory_mib else "?"
    return duration(one.seconds[1]), f"{memory}{gpu}"


def whole(expected: "Forecast") -> list[str]:
    """What the whole study takes, in sentences; what is missing where it is not known."""
    if expected.seconds is None:
        few = ", ".join(expected.unknown[:4]) + (", ..." if expected.unknown[4:] else "")
        return [
            f"What {'it' if len(expected.unknown) > len(expected.arms) else few} takes on machine "
            f"{expected.machine} is not known: no such training finished there. --calibrate "
            "measures a few steps."
        ]
    least, likely, most = map(duration, expected.seconds)
    said = [
        f"{len(expected.trials)} trials, {expected.at_a_time} at a time: about {likely} "
        f"({least} to {most}), done {_by_the_clock(expected.seconds)}"
    ]
    if expected.gpu_hours:
        said.append(f"{expected.gpu_hours:.3g} GPU hours")
    if expected.money:
        low, middle, high = expected.money
        said.append(f"price about {middle:.2f} ({low:.2f} to {high:.2f})")
    said.append(f"disk {_size(expected.disk_bytes or 0)}")
    sources = dict.fromkeys(one.source for one in expected.arms.values())
    lines = [f"On machine {expected.machine}: {'; '.join(said)}. Known from {', '.join(sources)}."]
    if expected.is_assumed:
        lines.append(
            "How many trials it runs at a time is not known here, and one is assumed: "
            "machine.concurrent_trials says it."
        )
    return lines


def _by_the_clock(seconds: tuple[float, float, float]) -> str:
    """When it would end, were it begun now."""
    now = datetime.now()
    least, likely, most = (now + timedelta(seconds=each) for each in seconds)
    form = "%H:%M" if most.date() == now.date() else "%b %d %H:%M"
    return f"at {likely:{form}} ({least:{form}} to {most:{form}})"


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def seeds_can_show(study: Study) -> list[CanShow]:
    """What the usual numbers of seeds can show of the study's arms, its own among them."""
    counts = sorted({*_COUNTS, len(study.seeds)})
    return [can_show(count, len(study.arms), study.rope) for count in counts]


def can_show_table(study: Study) -> Table:
    """The same for a reader, a column a number of seeds."""
    shows = seeds_can_show(study)
    table = Table(title="What n seeds can show")
    table.add_column("seeds")
    for one in shows:
        is_own = one.pairs == len(study.seeds)
        table.add_column(f"{one.pairs} (asked)" if is_own else f"{one.pairs}", justify="right")
    table.add_row("smallest p", *(f"{one.smallest_p:.3g}" for one in shows))
    arms = len(study.arms)
    table.add_row(
        f"arms of {arms} that can pass", *(str(min(arms, one.arms_that_can_pass)) for one in shows)
    )
    table.add_row(
        "95 % interval, ± sd",
        *(f"{one.half_width or 0:.2f}" if one.half_width else "-" for one in shows),
    )
    return table


def again(stale: "Stale") -> Table:
    """For each trial that would run, why."""
    stands = len(stale.trials) - len(stale.to_run)
    beside = f", beside {stale.folder.name}" if stale.folder else ""
    table = Table(
        title=f"{len(stale.to_run)} of {len(stale.trials)} trials would run{beside}",
        caption=f"{stands} stand." + _other_code(stale),
    )
    table.add_column("trial", no_wrap=True)
    table.add_column("why it would run")
    for each in stale.to_run:
        table.add_row(each.trial, "; ".join(each.reasons))
    return table


def _other_code(stale: "Stale") -> str:
    codes = dict.fromkeys(
        reason for each in stale.trials if not each.runs for reason in each.reasons[1:]
    )
    return f" Of them: {'; '.join(codes)}. Other code alone runs no trial again." if codes else ""
