"""What is told with few labels, whom a person is asked about first, and the labels that come
back."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.seen import seen

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError
from casas_ray.evals.evaluation import Contender
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold, fold_of
from casas_ray.evals.features.hand import COUNTS
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.few_labels import A_CLASS, DRAWS, draws, few_labels
from casas_ray.evals.given_labels import given_labels, take
from casas_ray.evals.judge import evaluate_set
from casas_ray.evals.labelling import first_to_label
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.records.verdict import Verdict, record_verdict

DAY = 86_400


@pytest.fixture
def own_run(whole_run: Path, tmp_path: Path) -> TrainedRun:
    return TrainedRun.open(Path(shutil.copytree(whole_run, tmp_path / "run")))


def three_kinds(rows: int = 240) -> tuple[SeenWindows, Fold, Featurizer]:
    """Windows of one event each, ten a day, of three far groups; the last third is judged."""
    rng = np.random.default_rng(0)
    kind = np.arange(rows) % 3
    vectors = np.eye(3)[kind] * 10.0 + rng.normal(size=(rows, 3))
    side = (np.arange(rows) >= 2 * rows // 3).astype(np.int64)
    windows = seen(
        np.arange(rows) // 10 * DAY + np.arange(rows) % 10,
        [0] * rows,
        [0] * rows,
        [(row, row + 1) for row in range(rows)],
        split=side,
        labels=list(np.array(["Cook", "Read", "Sleep"])[kind]),
    )
    made = Featurizer("made up", "window", lambda windows, fold: vectors, one_scale=True)
    return windows, fold_of(windows, side, "val"), made


def test_draws_are_of_training_days_and_as_many_as_was_said():
    windows, fold, _ = three_kinds()
    drawn = {(each.how, each.amount): each.draws for each in draws(windows, fold)}
    assert [amount for how, amount in drawn if how == "labels a class"] == list(A_CLASS)
    for (how, amount), every in drawn.items():
        assert len(every) == DRAWS
        for rows in every:
            assert np.isin(rows, fold.train).all()
            if how == "labels a class":
                _, counts = np.unique(windows.labels[rows], return_counts=True)
                assert counts.tolist() == [amount] * 3
            else:
                days = windows.day_N[rows]
                assert len(np.unique(days)) == amount
                assert len(rows) == np.isin(windows.day_N[fold.train], days).sum()
    assert len({tuple(rows.tolist()) for rows in drawn["labels a class", 5]}) > 1
    again = {(each.how, each.amount): each.draws for each in draws(windows, fold)}
    assert all((a == b).all() for key in drawn for a, b in zip(drawn[key], again[key], strict=True))


def test_of_far_groups_one_label_a_class_tells_all():
    windows, fold, made = three_kinds()
    rows = few_labels(windows, fold, [Contender(made), Contender(made, "forest")], lambda _: None)
    assert {row["reader"] for row in rows} == {"probe", "neighbours"}
    assert len(rows) == 2 * len(list(draws(windows, fold)))  # not once more for the forest
    one = [row for row in rows if (row["how"], row["amount"]) == ("labels a class", 1)]
    assert [row["macro_f1"] for row in one] == pytest.approx([1.0, 1.0])
    assert [row["macro_f1_sd"] for row in one] == [0.0, 0.0]


def test_labels_of_judged_days_are_read_to_judge_alone():
    windows, fold, _ = three_kinds()
    other = windows.labels.copy()
    other[fold.judged] = "Cook"
    moved = seen(
        (windows.time_us_E // 1_000_000).tolist(),
        [0] * len(windows),
        [0] * len(windows),
        [(row, row + 1) for row in range(len(windows))],
        split=windows.split_E,
        labels=other.tolist(),
    )
    assert all(
        (a == b).all()
        for one, two in zip(draws(windows, fold), draws(moved, fold), strict=True)
        for a, b in zip(one.draws, two.draws, strict=True)
    )


def test_the_labels_of_a_person_are_a_row_of_their_own():
    windows, fold, made = three_kinds()
    ids = [f"made:{row}+1" for row in range(len(windows))]
    windows = SeenWindows(
        windows.table.append_column("id", [ids]),
        *(getattr(windows, name) for name in ("names", "split_N", "ranges", "time_us_E")),
        *(getattr(windows, name) for name in ("sensor_E", "state_E", "day_E", "split_E")),
        has_context=True,
    )
    given = {ids[0]: "Cook", ids[1]: "Read", ids[2]: "Sleep", ids[-1]: "Cook"}
    rows = few_labels(windows, fold, [Contender(made)], lambda _: None, given)
    ours = [row for row in rows if row["how"] == "given by a person"]
    # The last one is of a judged day, and is not fitted on.
    assert [(row["amount"], row["macro_f1"]) for row in ours] == [(3, 1.0), (3, 1.0)]


def test_a_look_without_it_is_final(run, own_run: TrainedRun):
    record_verdict(own_run.folder, Verdict(own_run.step, (), {"trained": {"test/probe_f1": 0.5}}))
    code, _, err = run("evaluate", own_run.folder, "--few-labels")
    assert code == 8
    assert "were looked at without --few-labels" in err


def test_a_home_is_told_too_and_another_protocol_is_refused(run, small_set: PreparedSet):
    found = evaluate_set(small_set, split="val", contenders=[Contender(COUNTS)], few=True)
    assert {row["name"] for row in found.extra["few_labels"]} == {"sensor counts"}
    code, _, err = run("probe", small_set.folder.name, "--few-labels", "--protocol", "rolling")
    assert code == 2
    assert "wants --protocol day" in err


def test_middles_of_clusters_and_doubtful_windows_come_first(
    own_run: TrainedRun, small_set: PreparedSet
):
    found = first_to_label(own_run, days=1, most=25)
    assert len(found) == 25
    assert len({each.start[:10] for each in found}) == 1
    assert [each.start for each in found] == sorted(each.start for each in found)
    middles = [each for each in found if each.why.startswith("middle")]
    assert len(middles) > 3
    assert {each.why.split()[0] for each in found} == {"middle", "between"}
    training = small_set.windows("train").column("id").to_pylist()
    assert {each.window for each in found} <= set(training)
    assert len(first_to_label(own_run, days=2, most=7)) == 7


def test_labels_come_back_and_are_told_of(run, own_run: TrainedRun, tmp_path: Path):
    path = tmp_path / "to_label.csv"
    code, out, _ = run("label", own_run.folder, "--days", "2", "--most", "12", "-o", path)
    assert (code, out) == (0, "")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["label"] for row in rows] == [""] * 12
    for index, row in enumerate(rows):
        row["label"] = ["Cook", "Sleep", " "][index % 3]
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, out, _ = run("label", own_run.folder, "--take", path)
    assert code == 0
    assert "8 windows of run have labels, of 2 kinds" in out
    assert given_labels(own_run)[rows[0]["window"]] == "Cook"


@pytest.mark.slow
def test_evaluate_tells_it_of_every_vector_and_of_a_persons_labels(
    run, own_run: TrainedRun, small_set: PreparedSet, tmp_path: Path
):
    ids = small_set.windows("train").column("id").to_pylist()
    path = tmp_path / "labels.csv"
    path.write_text("window,label\n" + "".join(f"{each},Cook\n" for each in ids[:8]))
    take(own_run, path)
    code, out, _ = run("evaluate", own_run.folder, "--few-labels")
    assert code == 0
    text = " ".join(out.split())
    assert "With few labels, test days" in text
    assert "10 a class" in text
    assert "8 given" in text
    code, again, _ = run("evaluate", own_run.folder, "--few-labels", "--json")
    assert code == 0
    (told,) = json.loads(again)["evaluations"].values()
    names = {row["name"] for row in told["few_labels"]}
    assert {"sensor counts", "hand mix", "untrained", "trained"} <= names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "its first line has no `window` and `label`"),
        ("", "its first line has no `window` and `label`"),
        ("window,label\nmilan:0+0,Cook\n", "line 2: no training window is called 'milan:0+0'"),
        ("window,label\nID,\n", "no window has a label"),
        ("window,label\nID,Cook\nID,Sleep\n", "line 3: window ID is both 'Cook' and 'Sleep'"),
        ("window,label\nID,\x1b[2J\n", "cannot be a label"),
    ],
)
def test_a_file_of_labels_that_is_none_is_one_line_and_keeps_nothing(
    own_run: TrainedRun, small_set: PreparedSet, tmp_path: Path, text: str, problem: str
):
    first = small_set.windows("train").column("id")[0].as_py()
    path = tmp_path / "labels.csv"
    path.write_text(text.replace("ID", first))
    with pytest.raises(DataError) as caught:
        take(own_run, path)
    assert problem.replace("ID", first) in caught.value.problem
    assert "\n" not in caught.value.problem
    assert given_labels(own_run) == {}
