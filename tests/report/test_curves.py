"""Curves read off ledgers: the mean where all seeds are, and pictures that obey no name."""

import html.parser
import struct
from pathlib import Path

import pytest

from casas_ray.records.run_result import RunResult
from casas_ray.report.curves import drawing

EVIL = "$\\frac{$[/bold]</svg><script>x\x1b[31m\u202e"


def run_of(validations: dict[int, object], *, status: str = "finished", best: int = 0) -> RunResult:
    rows: list[dict] = [{"event": "start", "step": 0, "info": {}}]
    for step, value in validations.items():
        metrics = {"val/recall_mean": value, "val/chance_recall_mean": 0.1}
        rows.append({"event": "metrics", "step": step, "metrics": metrics})
    rows.append({"event": "checkpoint", "step": best, "is_best": True})
    rows.append({"event": "end", "step": max(validations), "status": status})
    return RunResult(Path("nowhere"), rows)


def test_the_mean_is_drawn_where_every_seed_has_a_value():
    results = {
        ("base", 0): run_of({0: 0.1, 5: 0.2, 10: 0.4}, best=10),
        ("base", 1): run_of({0: 0.3, 5: 0.4}, best=5),
    }
    (panel,) = drawing("mine", (), results).panels
    curve = panel.arms["base"]
    assert curve.mean == [(0, pytest.approx(0.2)), (5, pytest.approx(0.3))]
    assert curve.seeds[0] == [(0, 0.1), (5, 0.2), (10, 0.4)]
    assert curve.best == {0: (10, 0.4), 1: (5, 0.4)}
    assert panel.chance == 0.1


def test_what_is_not_finite_has_no_point_and_how_seeds_ended_is_told():
    results = {("a", 0): run_of({0: 0.1, 5: "nan"}), ("a", 1): run_of({0: 0.1}, status="diverged")}
    drawn = drawing("mine", (), results)
    assert drawn.panels[0].arms["a"].seeds[0] == [(0, 0.1)]
    assert drawn.arms == {"a": "2 seeds, 1 diverged"}


def test_runs_without_a_metric_have_no_panel():
    empty = RunResult(Path("nowhere"), [{"event": "start", "step": 0, "info": {}}])
    assert drawing("mine", (), {("a", 0): empty}).panels == []


class Tags(html.parser.HTMLParser):
    """The elements and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = ("href", "src", "xlink:href")
        self.addresses += [value or "" for name, value in attrs if name in names]


def test_the_picture_and_the_page_show_names_as_they_are_and_load_nothing():
    pytest.importorskip("matplotlib")
    from casas_ray.report.picture import pictures

    results = {(EVIL, seed): run_of({0: 0.1, 5: 0.2 + seed / 10}, best=5) for seed in (0, 1)}
    results |= {("_hidden", 0): run_of({0: 0.1})}
    png, page = pictures(drawing(EVIL, ("SIMULATED home", "quick"), results))
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width > 600
    assert height > 400
    assert page.count("SIMULATED home") >= 3  # the banner, the title and across each panel
    seen = Tags(page)
    assert "script" not in seen.tags
    assert "svg" in seen.tags
    assert all(address.startswith("#") for address in seen.addresses)
    assert "_hidden (1 seed)" in page
    assert "training step" in page
    assert "(share of queries)" in page
    assert "\x1b" not in page


def test_the_page_of_equal_runs_is_equal():
    pytest.importorskip("matplotlib")
    from casas_ray.report.picture import pictures

    drawn = drawing("mine", (), {("a", 0): run_of({0: 0.1, 5: 0.2})})
    assert pictures(drawn) == pictures(drawn)
