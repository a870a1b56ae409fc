"""What a watcher is told while runs go on."""

import io
import re
import time

import pytest
from support.waiting import wait_until

from casas_ray.cli import console
from casas_ray.cli.console import _Lines, judging, waiting
from casas_ray.cli.live_bar import LiveBar
from casas_ray.cli.progress import Board
from casas_ray.cli.screen import Screen
from casas_ray.report.table import MAIN_METRIC


def test_what_an_earlier_command_did_took_no_time_of_this_one(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    said: list[str] = []
    board = Board(["run"], said.append, lambda done, total, news: None)
    board.hear(0, {"time": 1000.0, "event": "start", "step": 80, "info": {"total_steps": 100}})
    now[0] = 1040.0  # 10 steps in 40 s, so 10 more take 40 s; 90 of 100 would make it 4 s
    board.hear(0, {"time": 1040.0, **validation(90, 0.5)})
    assert said == ["step 90/100: val/recall_mean 0.500; 40 s left"]


def test_steps_that_a_diverged_run_was_spared_took_no_time(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    said: list[str] = []
    board = Board(["a", "b", "c"], said.append, lambda done, total, news: None)
    for run in range(2):
        board.hear(run, {"time": 1000.0, **start(100)})
    now[0] = 1010.0
    board.hear(0, {"time": 1010.0, "event": "end", "step": 1, "status": "diverged"})
    board.hear(1, {"time": 1010.0, "event": "end", "step": 100, "status": "finished"})
    # 101 steps were taken in 10 s; 100 are left.
    assert said[1] == "[2/3] b: finished; 10 s left"


def test_a_metric_that_is_not_finite_is_told_and_does_not_end_the_board():
    rows = [(0, start(10)), (0, validation(5, "nan")), (0, validation(6, "inf")), (0, END)]
    said, _ = heard(["run"], rows)
    assert said[0].startswith("step 5/10: val/recall_mean nan")
    assert said[2] == "[1/1] run: finished, val/recall_mean inf"


def heard(names: list[str], rows: list[tuple[int, dict]]) -> tuple[list[str], list[tuple]]:
    said: list[str] = []
    bars: list[tuple[float, float]] = []
    board = Board(names, said.append, lambda done, total, news: bars.append((done, total)))
    for run, row in rows:
        board.hear(run, {"time": time.time() + 1, **row})
    return said, bars


def start(total: int) -> dict:
    return {"event": "start", "step": 0, "info": {"total_steps": total}}


def validation(step: int, value: float | str) -> dict:
    return {"event": "metrics", "step": step, "metrics": {MAIN_METRIC: value}}


END = {"event": "end", "step": 10, "status": "finished"}


def test_a_lone_run_tells_each_validation_and_its_end():
    said, bars = heard(["run"], [(0, start(10)), (0, validation(5, 0.25)), (0, END)])
    assert said[0].startswith("step 5/10: val/recall_mean 0.250")
    assert said[1] == "[1/1] run: finished, val/recall_mean 0.250"
    assert bars == [(0, 10), (5, 10), (10, 10)]


def test_of_many_runs_only_the_ends_are_told_and_those_not_begun_are_counted_in():
    rows = [(0, start(10)), (0, validation(10, 0.5)), (0, END)]
    said, bars = heard(["a", "b", "c"], rows)
    assert len(said) == 1
    assert said[0].startswith("[1/3] a: finished, val/recall_mean 0.500")
    assert bars[-1] == (10, 30)


def test_a_run_that_diverged_early_counts_as_done():
    end = {"event": "end", "step": 2, "status": "diverged"}
    said, bars = heard(["a", "b"], [(0, start(10)), (0, end)])
    assert said[0].startswith("[1/2] a: diverged")
    assert bars[-1] == (10, 20)


def test_rows_of_an_earlier_command_are_passed_over():
    said, bars = heard(["a"], [(0, {**END, "time": 1.0})])
    assert said == bars == []


def test_a_log_hears_of_a_long_preparation_by_quarters_with_pace_and_time_left(capsys):
    now = [0.0]
    lines = _Lines(clock=lambda: now[0])
    for seconds, done in (
        (0.0, 0),
        (4.0, 400),
        (6.0, 700),
        (8.0, 1000),
        (10.0, 1100),
        (15.0, 2000),
    ):
        now[0] = seconds
        lines("caption vectors", done, 2000)
    assert capsys.readouterr().err.splitlines() == [
        "caption vectors: 2,000, once",
        "caption vectors: 700 of 2,000, 117 a second; 11 s left",
        "caption vectors: 1,000 of 2,000, 125 a second; 8 s left",
        "caption vectors: 2,000 of 2,000, 133 a second",
    ]


def test_what_was_done_before_it_was_heard_of_makes_no_pace(capsys):
    now = [0.0]
    lines = _Lines(clock=lambda: now[0])
    lines("bytes", 900, 1000)
    now[0] = 10.0
    lines("bytes", 1000, 1000)
    assert capsys.readouterr().err.splitlines()[1] == "bytes: 1,000 of 1,000, 10 a second"


def loss(step: int, value: float | str) -> dict:
    return {"event": "metrics", "step": step, "metrics": {"train/total_loss": value}}


def test_the_bar_tells_the_best_so_far_and_the_latest_loss():
    news: list[str] = []
    board = Board(["a", "b"], lambda text: None, lambda done, total, said: news.append(said))
    rows = [
        (0, start(10)),
        (0, loss(1, 3.5)),
        (0, validation(5, 0.25)),
        (1, start(10)),
        (1, validation(5, "nan")),
        (1, loss(6, 2.0)),
        (1, validation(7, 0.125)),
        (1, validation(8, 0.5)),
    ]
    for run, row in rows:
        board.hear(run, {"time": time.time() + 1, **row})
    first, second = "best recall_mean 0.250 (a)", "best recall_mean 0.500 (b)"
    assert news[:3] == ["", "loss 3.500", f"loss 3.500, {first}"]
    assert news[5:] == [f"loss 2.000, {first}", f"loss 2.000, {first}", f"loss 2.000, {second}"]


def test_a_lone_run_is_not_named_by_its_bar():
    news: list[str] = []
    board = Board(["a"], lambda text: None, lambda done, total, said: news.append(said))
    board.hear(0, {"time": time.time() + 1, **validation(5, 0.25)})
    assert news == ["best recall_mean 0.250"]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a log gets that is no terminal."""
    screen = Screen(file=io.StringIO(), width=200)
    monkeypatch.setattr(console, "err", screen)
    return screen.file


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal gets."""
    screen = Screen(file=io.StringIO(), width=200, force_terminal=True)
    monkeypatch.setattr(console, "err", screen)
    return screen.file


def test_a_log_hears_of_a_wait_only_when_it_is_long(log: io.StringIO, monkeypatch):
    with waiting("reading"):
        pass
    assert log.getvalue() == ""
    monkeypatch.setattr(console, "_SILENCE_S", 0.0)
    with waiting("reading [bold]"):
        wait_until(lambda: log.getvalue() == "reading [bold] ...\n")


def test_a_terminal_sees_what_it_waits_for(terminal: io.StringIO):
    with waiting("reading [bold]"):
        wait_until(lambda: "reading [bold] ..." in terminal.getvalue())


def test_a_lone_run_tells_its_stages_and_several_their_turns(log: io.StringIO):
    with judging(["a"]) as tell:
        tell(0, "encoding")
        tell(0, "fitting")
    with judging(["a", "b"]) as tell:
        for index in (0, 0, 1):
            tell(index, "encoding")
    assert log.getvalue().splitlines() == ["a: encoding", "a: fitting", "[1/2] a", "[2/2] b"]


def test_a_terminal_sees_which_run_is_judged_and_how(terminal: io.StringIO):
    with judging(["a", "b[/x]"]) as tell:
        tell(1, "fitting probes")
        wait_until(lambda: "b[/x]: fitting probes" in terminal.getvalue())
    assert "1/2" in terminal.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_shows_times_and_news_whole_in_any_terminal(width: int):
    screen = Screen(file=io.StringIO(), width=width, force_terminal=True)
    news = "loss 2.000, best recall_mean 0.500 (mlm_weight=0.1-seed0)"
    with LiveBar("[/x]milan_tiny-milan-quick-simulated-seed6-6fe510f0", screen) as bar:
        bar.show(5, 10, news)
        bar.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.file.getvalue())
    assert news in text
    assert "0:00:00 left " in text
    assert "[/x]milan_" in text
