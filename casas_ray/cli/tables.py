"""Tables for a terminal; made here, printed by the CLI."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from casas_ray import files
from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines
from casas_ray.records.run_record import QUICK, with_quick

if TYPE_CHECKING:
    from rich.text import Text

    from casas_ray.corpus.inventory import HomeAtHand, ReadableWindow, SetAtHand
    from casas_ray.run.doctor import Check
    from casas_ray.training.profile import Profile

Json = Mapping[str, Any]  # Any: what JSON holds


def heading(name: str, caveats: Sequence[str], *, quick: bool = False) -> str:
    """A title that says what kind of numbers follow."""
    marks = with_quick(caveats, quick=quick or QUICK in caveats)
    return name + (f" ({', '.join(marks)})" if marks else "")


def summary(manifest: Json) -> Table:
    """What is in a prepared set, for a person."""
    shown = Table(
        title=heading(manifest["home"], manifest["caveats"]),
        show_header=False,
    )
    shown.add_column("what", no_wrap=True)
    shown.add_column("found")
    several = len(manifest["homes"]) > 1
    for name, about in manifest["homes"].items():
        for what, value in _home_rows(about):
            shown.add_row(f"{name}: {what}" if several else what, value)
    for what, value in _set_rows(manifest):
        shown.add_row(what, value)
    return shown


def _home_rows(about: Json) -> list[tuple[str, str]]:
    cover = about["coverage"]
    rows = [
        ("lines", f"{about['log']['lines']:,} read, {about['used']:,} used"),
        ("set aside", _counts(about["quarantined"]) or "none"),
        ("dropped by sensor type", _counts(about["dropped_by_type"]) or "none"),
        ("noticed", _counts(about["noticed"]) or "nothing"),
        *(("please check", note) for note in about.get("notes", [])),
        ("sensors by room", _counts(about["sensors_by_room"])),
        ("days", _days(about["days"])),
        (
            "covered",
            f"{cover['days_with_events']} of {cover['days_from_first_to_last']} days; longest "
            f"silence {cover['longest_silence_hours']} h; {cover['labelled_events']:.0%} of events "
            "have an activity",
        ),
    ]
    if residents := about["activities_by_resident"]:
        rows.append(("activities by resident", _counts(residents)))
    return rows


def _set_rows(manifest: Json) -> list[tuple[str, str]]:
    rows = [("please check", note) for note in manifest.get("notes", [])]
    for split, counts in manifest.get("labels", {}).items():
        rows.append((f"events by activity, {split}", _counts(counts, most=12)))
    captions = manifest["captions"]
    shared = captions["shared_by_split"]
    shares = ", ".join(f"{split} {share:.0%}" for split, share in shared.items())
    rows += [
        ("windows", _counts(manifest["windows"])),
        ("captions", f"{captions['distinct']:,} distinct"),
        ("windows that share a caption", shares),
    ]
    if lengths := manifest.get("events_per_window"):
        rows.append(("events in a window", ", ".join(f"{k} {v:g}" for k, v in lengths.items())))
    return rows + [("for example", text) for text in captions["examples"]]


def homes(known: Mapping[str, "HomeAtHand"]) -> Table:
    """The homes known, with what is at hand of each."""
    shown = Table(
        title="Homes",
        caption="A set trains by the name of its folder too: data.homes=NAME-HASH.",
    )
    for column in ("home", "residents", "sensors", "log", "prepared sets"):
        shown.add_column(column, no_wrap=column == "home")
    for name, home in known.items():
        sets = [_set_at_hand(held) for held in home.sets]
        shown.add_row(name, home.residents or "-", *_origin(home), lines(sets or ["-"]))
    return shown


def _origin(home: "HomeAtHand") -> tuple[str, str]:
    """Its sensors and its log, in words."""
    if home.files is not None:
        return "-", ", ".join(["alignment JSON", *home.files])
    sensors = "read off its log" if home.sensors is None else str(home.sensors)
    missing = f"was {files.shown(home.moved)}, and is not there" if home.moved else "not at hand"
    return sensors, files.shown(home.log) if home.log else missing


def _set_at_hand(held: "SetAtHand") -> str:
    marks = "".join(f", {caveat}" for caveat in held.caveats)
    size = f"{held.windows:,} windows, {held.bytes / 1e6:.1f} MB"
    return f"{files.shown(held.folder)} ({size}{marks})"


def statistics(columns: Mapping[str, Json]) -> Table:
    """What logs look like in numbers, side by side."""
    shown = Table(title="Logs in numbers")
    shown.add_column("")
    for name in columns:
        shown.add_column(name)
    for row in next(iter(columns.values())):
        shown.add_row(row, *(_cell(column[row]) for column in columns.values()))
    return shown


def _cell(value: Any) -> "str | Text":  # Any: a number, a list of them, or shares by name
    if isinstance(value, dict):
        return lines([f"{name} {share:.1%}" for name, share in value.items()] or ["-"])
    if isinstance(value, list):
        return ", ".join(f"{each:,g}" for each in value)
    return f"{value:,.3g}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def window(readable: "ReadableWindow") -> Table:
    """One window, event by event, with its captions and labels below."""
    labels = ", ".join(f"{name} {share:.0%}" for name, share in readable.labels)
    captions = [f"- {text}" for text in readable.captions]
    below = ["Captions:", *captions, f"Labels, never seen by captions or training: {labels}"]
    shown = Table(
        title=f"A window from {readable.start}",
        caption=lines(below),
        keys=2,
    )
    rooms = list(dict.fromkeys(readable.fields["room"]))
    for column in ("after", "sensor", "state", *rooms):
        shown.add_column(column, justify="right" if column == "after" else "left")
    events = zip(
        readable.gap_seconds,
        readable.fields["sensor"],
        readable.fields["state"],
        readable.fields["room"],
        strict=True,
    )
    for gap, sensor, state, room in events:
        marks = ["#" if room == each else "" for each in rooms]
        shown.add_row(f"{gap:.1f} s", sensor, state, *marks)
    return shown


def _counts(counts: Mapping[str, int], most: int = 20) -> str:
    text = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:most])
    return text + (f" and {len(counts) - most} more" if len(counts) > most else "")


def _days(days: Mapping[str, list[str]]) -> str:
    return ", ".join(
        f"{split} {len(each)} ({each[0]} to {each[-1]})" for split, each in days.items() if each
    )


def audit(name: str, classes: Mapping[str, Sequence[str]]) -> Table:
    """What leaves this machine, class by class, and what does not."""
    shown = Table(title=f"What W&B hears of {name}", show_lines=True)
    shown.add_column("class", no_wrap=True)
    shown.add_column("what")
    for kind, items in classes.items():
        shown.add_row(kind, ", ".join(items) or "nothing")
    return shown


def checks(examined: Sequence["Check"]) -> Table:
    """What the doctor saw, with what to do about it."""
    shown = Table(title="This machine")
    for column in ("check", "", "found", "what to do"):
        shown.add_column(column, no_wrap=column == "check")
    for check in examined:
        shown.add_row(check.name, check.state, check.found, check.fix)
    return shown


def profile(taken: "Profile") -> Table:
    """Where the time of a step goes, on one screen."""
    shown = Table(title="Where the time of a step goes")
    for column in ("operation", "share", "calls a step"):
        shown.add_column(column, justify="left" if column == "operation" else "right")
    for name, share, calls in taken.operations:
        shown.add_row(name, f"{share:.1%}", str(calls))
    shown.add_section()
    shown.add_row("step", f"{taken.step_ms:.1f} ms", f"{taken.samples_per_s:,.0f} samples/s")
    shown.add_row("waiting for data", f"{taken.data_wait_share:.1%}", "")
    shown.add_row("start to first step", f"{taken.first_step_s:.1f} s", "")
    shown.add_row("peak memory", f"{taken.peak_memory_mib:,.0f} MiB", "")
    return shown
