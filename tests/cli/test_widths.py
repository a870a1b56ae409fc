"""Every table of the command line in terminals of 60, 80 and 120 columns: nothing is cut."""

import inspect
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from casas_ray.catalog import find_study
from casas_ray.cli import disk_tables, plan_tables, result_tables, tables
from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import Screen
from casas_ray.corpus.inventory import ReadableWindow, homes_at_hand, read_window
from casas_ray.records.again import Again, Stale
from casas_ray.records.on_disk import OnDisk, RunOnDisk
from casas_ray.records.rule import assumed_rule
from casas_ray.records.verdict import Verdict
from casas_ray.report.decision import decide
from casas_ray.report.effects import Effect
from casas_ray.report.pairs import Pairs
from casas_ray.report.table import METRICS, ArmRow, Spread, StudyTable
from casas_ray.report.verdicts import ArmVerdict
from casas_ray.run.doctor import Check
from casas_ray.training.profile import Profile

WIDTHS = (60, 80, 120)
LONG_ARM = "temperature_init=0.05+learning_rate=3e-4+layers=6"
SPREADS = {name: Spread(0.1234, 0.0567, 3) for name in METRICS}


def shown(table: Table, width: int) -> str:
    screen = Screen(width=width, file=io.StringIO())
    screen.print(table)
    return screen.file.getvalue()


def assert_fits(table: Table, width: int) -> None:
    text = shown(table, width)
    for line in text.splitlines():
        assert cell_len(line.rstrip()) <= width, line
    cells = [
        cell.strip() for line in text.splitlines() for cell in line.replace("┃", "│").split("│")
    ]
    words = {word for cell in cells for word in cell.split()}
    for index, column in enumerate(table._columns):
        is_whole = column.no_wrap or column.justify == "right"
        for row in table._rows:
            plain = row.cells[index].plain
            # A name longer than half of the screen may be broken, but at its joints alone.
            parts = re.split(r"(?<=[+/_:])", plain) if cell_len(plain) > width / 2 else [plain]
            if is_whole and parts == [plain]:
                assert plain.strip() in {*cells, ""}, plain
            assert all(
                any(each in word for word in words) for part in parts for each in part.split()
            )
    assert "…" not in text


def comparison(*, strangers: bool) -> Table:
    looked = decide(
        assumed_rule([LONG_ARM], range(3)),
        {LONG_ARM: Pairs({0: 0.1, 1: -0.1}, {2: "diverged"})},
    )[LONG_ARM]
    rows = [
        ArmRow(
            name,
            {"finished": 2, "diverged": 1},
            SPREADS,
            SPREADS[METRICS[0]],
            504,
            {},
            name == "base" or not strangers,
            None if name == "base" or strangers else looked,
        )
        for name in ("base", LONG_ARM)
    ]
    chance = dict.fromkeys(METRICS, 0.011)
    table = StudyTable(rows, chance, SPREADS, 504, ["The code differs."], ["base-seed0 at step 3"])
    return result_tables.comparison(table, "a_study on milan (SIMULATED home, quick)")


def crossed_table() -> StudyTable:
    one = Effect(f"{LONG_ARM} with {LONG_ARM}, beyond their sum", 0.01, (-0.01, 0.03), 6)
    return StudyTable([], {}, {}, 0, effects=[one, Effect("rate 1 to 2", 0.1, None, 6)])


def arm_verdict(arm: str) -> ArmVerdict:
    names = (
        "recall_mean",
        "recall@1",
        "recall@10",
        "ndcg_mean",
        "probe_macro_f1",
        "probe_weighted_f1",
    )
    columns = {
        kind: {f"test/{name}": 0.1234 for name in names}
        for kind in ("trained", "untrained", "sensor counts", "majority")
    }
    verdicts = [Verdict(10, ("SIMULATED home",), columns, (0.01, 0.02)) for _ in range(3)]
    return ArmVerdict(arm, ["x"] * 3, [0, 1, 2], verdicts)


def run_on_disk(arm: str, state: str) -> RunOnDisk:
    return RunOnDisk(Path("x"), arm, 12, state, 0.271, "val/recall_mean", 35, 70, 90_000.0)


def logs() -> dict[str, dict[str, object]]:
    row = {
        "events a day, mean": 1234.5,
        "by type": {"motion": 0.9, "door": 0.1},
        "gaps": [0.1, 2.5],
    }
    return {"SIMULATED milan": row, "the_log_of_a_real_home.txt": row}


def window() -> ReadableWindow:
    fields = {"room": ["kitchen", "master_bathroom", "living_room"], "state": ["ON", "OFF", "ON"]}
    fields["sensor"] = ["M012", "BedroomABedsideMotion", "M014"]
    return ReadableWindow(
        "2010-01-01 08:00:00", fields, [0.0, 1.5, 1e4], ["A caption."], [("x", 1.0)]
    )


def stale() -> Stale:
    reasons = ("optim.learning_rate was 0.0002, is 0.001", "code was 1a2b3c4d5e6f, is 6f5e4d3c2b1a")
    trials = [Again(f"{LONG_ARM}-seed0", True, reasons), Again("base-seed0", False, ("finished",))]
    return Stale(Path("data/runs/a_study-milan-quick-1a2b3c4d"), trials)


def made() -> dict[str, Sequence[Table]]:
    """Every table that a function makes, by the function's name; with data in them."""
    finished = [run_on_disk(arm, "not started") for arm in ("base", LONG_ARM)]
    held = [
        OnDisk(
            Path("data/runs/a_study-milan-quick-1a2b3c4d"), "a_study", ("quick",), tuple(finished)
        ),
        OnDisk(Path("data/runs/a_run"), "", ("SIMULATED home",), (run_on_disk("", "killed"),)),
    ]
    checks = [
        Check("text model", "odd", "it will be downloaded", "pip install --no-deps gt-all==1")
    ]
    operations = [("aten::scaled_dot_product_attention_backward", 0.5, 12)]
    profile = Profile(Path("x"), 12.0, 1200.0, 3.0, 0.01, 812.0, operations)
    return {
        "comparison": [comparison(strangers=False), comparison(strangers=True)],
        "crossed": [result_tables.crossed(crossed_table())],
        "verdicts": [
            result_tables.verdicts([arm_verdict("base")], "one"),
            result_tables.verdicts([arm_verdict("base"), arm_verdict(LONG_ARM)], "two"),
        ],
        "metrics": [
            result_tables.metrics({"best": {"val/a": 504.0}, "untrained": {"val/a": 0.1}}, "a run")
        ],
        "plan": [plan_tables.plan(find_study("default_recipe"), ("SIMULATED home",))],
        "can_show_table": [plan_tables.can_show_table(find_study("default_recipe"))],
        "again": [plan_tables.again(stale())],
        "statistics": [tables.statistics(logs())],
        "window": [tables.window(window())],
        "audit": [tables.audit("a_study", {"settings": ["optim.epochs", "seed"], "rows": []})],
        "checks": [tables.checks(checks)],
        "profile": [tables.profile(profile)],
        "runs": disk_tables.runs(held),
    }


MADE_OF_A_SET = {"summary", "homes"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(made()))
def test_a_table_fits_and_nothing_of_it_is_cut(name: str, width: int):
    for table in made()[name]:
        assert_fits(table, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_of_sets_and_homes_fit(width: int, small_set, monkeypatch: pytest.MonkeyPatch):
    # Paths as they are where the data folder lies below the current one.
    monkeypatch.chdir(small_set.folder.parents[1])
    for table in (
        tables.summary(small_set.manifest),
        tables.homes(homes_at_hand()),
        tables.window(read_window(small_set, 0)),
    ):
        assert_fits(table, width)


def test_no_table_is_left_out_here():
    functions = [
        function
        for module in (tables, result_tables, disk_tables, plan_tables)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not function.__name__.startswith("_")
    ]
    returned = {
        function.__name__
        for function in functions
        if "Table" in str(inspect.signature(function).return_annotation)
    }
    assert returned == set(made()) | MADE_OF_A_SET


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")), max_size=90)


@settings(max_examples=60)
@given(st.integers(20, 200), st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4))
def test_whatever_stands_in_it_a_table_is_no_wider_than_its_terminal(width: int, rows: list):
    table = Table(title="t")
    table.add_column("name", no_wrap=True)
    table.add_column("number", justify="right")
    table.add_column("words")
    for row in rows:
        table.add_row(*row)
    for line in shown(table, width).splitlines():
        assert cell_len(line) <= max(width, 38)


def test_columns_without_room_stand_below_beside_the_keys():
    table = Table(keys=2)
    for name in ("arm", "seed", "first", "second"):
        table.add_column(name, justify="right")
    table.add_row("base", "0", "1" * 20, "2" * 20)
    text = shown(table, 40)
    assert text.count("arm") == text.count("seed") == 2
    assert "1" * 20 in text
    assert "2" * 20 in text
