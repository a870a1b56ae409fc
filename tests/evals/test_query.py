"""A text finds windows and a window finds captions: by vectors alone, and with what tells how good
that is."""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.evals.query import ask
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.evals.window_facts import WindowFacts
from casas_ray.records.run_result import RunResult


@pytest.fixture(scope="module")
def trained(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return TrainedRun.open(Path(shutil.copytree(whole_run, tmp_path_factory.mktemp("r") / "run")))


def test_windows_are_ranked_by_the_cosine_of_their_vectors(
    trained: TrainedRun, small_set: PreparedSet
):
    text = "movement in the kitchen at night"
    found = ask(trained, text=text, splits=("val",), top=500)
    scores = trained.encode_windows("val") @ trained.encode_text([text])[0]
    ids = small_set.windows("val").column("id").to_pylist()
    wanted = dict(zip(ids, scores.tolist(), strict=True))
    assert [each.score for each in found.windows] == sorted(
        (each.score for each in found.windows), reverse=True
    )
    assert found.windows[0].score == pytest.approx(max(wanted.values()))
    for each in found.windows:
        assert each.score == pytest.approx(wanted[each.window.id])
    # Of windows that share events only one is told.
    table = small_set.windows("val")
    first, length = (table.column(name).to_pylist() for name in ("first_event", "length"))
    at = [ids.index(each.window.id) for each in found.windows]
    spans = sorted((first[row], first[row] + length[row]) for row in at)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    assert found.captions == []


def test_a_window_finds_windows_like_it_and_captions(trained: TrainedRun, small_set: PreparedSet):
    table = small_set.windows("val")
    like = table.column("id")[3].as_py()
    found = ask(trained, like=like, splits=("val",), top=5)
    assert found.like is not None and found.like.id == like
    assert like not in [each.window.id for each in found.windows]
    assert len(found.captions) == 5
    vector = trained.encode_windows("val")[3]
    texts = [each.caption for each in found.captions]
    np.testing.assert_allclose(
        [each.score for each in found.captions], trained.encode_text(texts) @ vector, atol=1e-5
    )


def test_labels_move_no_rank(trained: TrainedRun, monkeypatch: pytest.MonkeyPatch):
    before = ask(trained, text="sleep", splits=("val",))
    monkeypatch.setattr(WindowFacts, "labels", np.array(["Cook"] * 10_000), raising=False)
    after = ask(trained, text="sleep", splits=("val",))
    same = [
        dataclasses.replace(each.window, label="")
        for answer in (before, after)
        for each in answer.windows
    ]
    assert same[: len(before.windows)] == same[len(before.windows) :]


def test_the_table_tells_how_good_this_is_and_what_it_is(run, trained: TrainedRun):
    code, out, _ = run("query", trained.folder, "someone in the kitchen", "--top", "3")
    assert code == 0
    text = " ".join(out.split())
    assert "(SIMULATED home)" in text
    best = RunResult.read(trained.folder).best()
    assert f"among the first ten in {best['val/text_recall@10']:.0%}" in text
    assert f"of {int(best['val/gallery'])}" in text
    assert "TEST DAYS" not in text
    code, out, _ = run("query", trained.folder, "someone in the kitchen", "--json", "--top", "3")
    told = json.loads(out)
    assert len(told["windows"]) == 3
    assert {each["window"]["split"] for each in told["windows"]} <= {"train", "val"}
    assert told["quality"]["text_recall@10"] == best["val/text_recall@10"]


def test_a_look_at_test_days_is_remembered(run, trained: TrainedRun):
    words = ("--split", "test", "--top", "1")
    code, out, _ = run("query", trained.folder, "the kitchen", *words)
    assert code == 0
    assert "LOOKED AT, with 1 queries" in " ".join(out.split())
    run("query", trained.folder, "the bathroom", *words)
    code, out, _ = run("query", trained.folder, "the bathroom", "--json")
    assert json.loads(out)["looks"] == ["the kitchen", "the bathroom"]


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        ([], 2, "query wants a text, or --like WINDOW"),
        (["the kitchen", "--like", "milan:1+20"], 2, "and not both"),
        ([" "], 2, "query wants a text"),
        (["--like", "milan:0+0"], 3, "no window is called 'milan:0+0' among train and val days"),
        (["x", "--home", "aruba"], 3, "no window is of home 'aruba'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    run, trained: TrainedRun, words: list[str], code: int, problem: str
):
    ended, out, err = run("query", trained.folder, *words)
    assert (ended, out) == (code, "")
    assert problem in err


def test_a_run_without_test_days_says_so(trained: TrainedRun):
    with pytest.raises(DataError, match="has no nowhere windows"):
        ask(trained, text="x", splits=("nowhere",))
