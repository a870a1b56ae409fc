"""Clusters: found without labels, fitted on training days alone, scored, and kept."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.seen import seen

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import DataError, SettingsError
from casas_ray.evals.assignments import assign, nearest_windows
from casas_ray.evals.cluster_scores import against, purity, scores
from casas_ray.evals.clusters import NOISE, cluster, require_sense
from casas_ray.evals.features.featurizer import Featurizer
from casas_ray.evals.features.fold import Fold, fold_of
from casas_ray.evals.features.hand import MIX
from casas_ray.evals.features.seen import SeenWindows
from casas_ray.evals.grouping import Grouping

METHODS = ("kmeans", "agglomerative", "hdbscan", "gmm")


def three_groups(*, labels: bool = True, rows: int = 120) -> tuple[SeenWindows, Fold, Featurizer]:
    """Windows of one event each in three far groups, two thirds of them fitted on."""
    rng = np.random.default_rng(0)
    group = np.arange(rows) % 3
    vectors = np.eye(3)[group] * 10.0 + rng.normal(size=(rows, 3))
    named = np.array(["Cook", "Read", "Sleep"])[group] if labels else ["no_activity"] * rows
    side = (np.arange(rows) >= 2 * rows // 3).astype(np.int64)
    windows = seen(
        np.arange(rows),
        [0] * rows,
        [0] * rows,
        [(row, row + 1) for row in range(rows)],
        split=side,
        labels=list(named),
    )
    made = Featurizer("made up", "window", lambda windows, fold: vectors, one_scale=True)
    return windows, fold_of(windows, side, "val"), made


@pytest.mark.parametrize("method", METHODS)
def test_far_groups_are_found_and_later_windows_join_theirs(method: str):
    windows, fold, made = three_groups()
    found = cluster(windows, fold, made, method=method, k=3)
    assert found.k == 3
    told = scores(windows, fold, found, share_of_probe=True)
    assert [told[name] for name in ("nmi", "ari", "purity")] == pytest.approx([1.0] * 3)
    # One label a middle, three in all, tell as much as all training labels.
    assert told["centre_macro_f1"] == pytest.approx(told["centre_share_of_probe"]) == 1.0
    assert told["silhouette"] > 0.8
    if method in ("kmeans", "gmm"):
        assert told["agreement"] == pytest.approx(1.0)


def test_the_number_of_clusters_is_found_where_silhouettes_tell():
    rng = np.random.default_rng(0)
    vectors = np.eye(6)[np.arange(180) % 6] * 20.0 + rng.normal(size=(180, 6))
    windows, fold, made = three_groups(rows=180)
    made = dataclasses.replace(made, make=lambda windows, fold: vectors)
    found = cluster(windows, fold, made, k=None)
    assert found.k == 6 == max(found.curve, key=lambda k: found.curve[k])


@pytest.mark.parametrize("method", METHODS)
def test_later_days_and_labels_move_no_training_window(method: str):
    windows, fold, made = three_groups()
    before = cluster(windows, fold, made, method=method, k=3)
    vectors = made.make(windows, fold).copy()
    vectors[fold.judged] = -100.0
    moved = dataclasses.replace(made, make=lambda windows, fold: vectors)
    other = dataclasses.replace(windows, table=pa.table({"label": ["x"] * len(windows)}))
    after = cluster(other, fold, moved, method=method, k=3)
    assert (after.cluster_N[fold.train] == before.cluster_N[fold.train]).all()
    assert (after.centre_K == before.centre_K).all()


def test_without_labels_there_are_scores_that_need_none():
    windows, fold, made = three_groups(labels=False)
    told = scores(windows, fold, cluster(windows, fold, made, k=3), share_of_probe=True)
    assert set(told) == {"silhouette", "agreement"}


def test_too_many_clusters_and_no_dense_group_are_named():
    windows, fold, made = three_groups()
    with pytest.raises(DataError, match="80 training windows are fewer than 81 clusters"):
        cluster(windows, fold, made, k=81)
    apart = np.arange(120.0)[:, None] ** 3 * 1e3
    alone = dataclasses.replace(made, make=lambda windows, fold: apart)
    with pytest.raises(DataError, match="every window is noise"):
        cluster(windows, fold, alone, method="hdbscan", k=None)
    with pytest.raises(SettingsError, match="--k has no effect on HDBSCAN"):
        require_sense("hdbscan", 3)
    same = dataclasses.replace(made, make=lambda windows, fold: np.zeros((120, 2)))
    with pytest.raises(DataError, match="all training windows are alike"):
        cluster(windows, fold, same, k=None)


def test_scores_are_scikit_learns_and_purity_is_worked_out():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[rng.integers(3, size=200)]
    clusters = rng.integers(4, size=200)
    told = against(labels, clusters)
    assert told["nmi"] == metrics.normalized_mutual_info_score(labels, clusters)
    assert told["ari"] == metrics.adjusted_rand_score(labels, clusters)
    # Cluster 0 has two of its three windows of `a`, cluster 1 has one of one.
    assert purity(np.array(list("aabc")), np.array([0, 0, 0, 1])) == 0.75


def test_an_event_goes_with_the_window_whose_middle_is_nearest():
    windows = seen(range(6), [0] * 6, [0] * 6, [(0, 4), (2, 6)])
    event, window = nearest_windows(windows)
    assert event.tolist() == [0, 1, 2, 3, 4, 5]
    # Middles are 1.5 and 3.5: event 2 is nearer to the first, event 3 to the second.
    assert window.tolist() == [0, 0, 0, 1, 1, 1]


def test_noise_is_of_no_centre():
    windows, fold, made = three_groups()
    vectors = made.make(windows, fold).copy()
    vectors[0] = 1e3
    far = dataclasses.replace(made, make=lambda windows, fold: vectors)
    found = cluster(windows, fold, far, method="hdbscan", k=None)
    assert found.cluster_N[0] == NOISE
    assert NOISE not in found.cluster_N[found.centre_K]


@pytest.mark.parametrize("method", METHODS)
def test_the_clusters_of_a_home_are_kept_for_every_window_and_event(
    run, small_set: PreparedSet, method: str
):
    words = ["--method", method, *([] if method == "hdbscan" else ["--k", "6"])]
    code, out, _ = run("cluster", small_set.folder.name, *words, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["caveats"] == ["SIMULATED home"]
    assert list(told["rows"]) == ["hand mix", "sensor counts"]
    assert told["rows"]["hand mix"]["nmi"] > 0.2
    assert told["looks"] == []
    folder = Path(told["folder"])
    windows = pq.read_table(folder / "windows.parquet")
    counts = small_set.manifest["windows"]
    assert len(windows) == counts["train"] + counts["val"]
    sizes = {row["cluster"]: row["train"] + row["judged"] for row in told["clusters"]}
    held = np.array(windows.column("cluster").to_pylist())
    assert {name: int((held == name).sum()) for name in sizes} == sizes
    assert sum(windows.column("is_centre").to_pylist()) == len(sizes)
    events = pq.read_table(folder / "events.parquet")
    assert len(set(events.column("event").to_pylist())) == len(events)
    assert set(events.column("cluster").to_pylist()) <= set(held.tolist())


def test_a_run_is_grouped_beside_what_is_cheaper_and_a_look_at_test_days_is_told(
    run, whole_run: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    code, out, _ = run("cluster", folder, "--k", "5", "--json")
    assert code == 0
    told = json.loads(out)
    assert list(told["rows"]) == ["trained", "sensor counts", "hand mix", "untrained"]
    assert Path(told["folder"]) == folder / "clusters" / "encoder-kmeans-5-val"
    code, out, _ = run("cluster", folder, "--k", "5", "--split", "test", "--features", "joined")
    assert code == 0
    text = " ".join(out.split())
    assert "THE TEST DAYS HAVE BEEN LOOKED AT: joined-kmeans-5-test" in text
    assert "run, kmeans, test days (SIMULATED home)" in text
    code, out, _ = run("cluster", folder, "--k", "5", "--json")
    assert json.loads(out)["looks"] == ["joined-kmeans-5-test"]


def test_a_home_that_nobody_labelled_is_grouped(run, small_set: PreparedSet, tmp_path: Path):
    events = pq.read_table(small_set.folder / "events.parquet")
    times = events.column("time_us").to_numpy().astype("datetime64[us]")
    rows = zip(times, events.column("sensor"), events.column("state"), strict=True)
    log = tmp_path / "bare.txt"
    log.write_text("".join(f"{str(t).replace('T', ' ')}\t{s}\t{v}\n" for t, s, v in rows))
    assert run("prepare", "unlabelled_home", "--log", log)[0] == 0
    code, out, _ = run("cluster", "unlabelled_home", "--k", "4")
    assert code == 0
    assert "Nobody labelled these windows" in " ".join(out.split())
    assert "NMI" not in out
    code, _, err = run("evaluate", "unlabelled_home")
    assert code == 3
    assert "have no labels" in err


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["--k", "5000"], 2, "--k '5000' is no number of clusters"),
        (["--k", "many"], 2, "--k 'many' is no number of clusters"),
        (["--k", "999"], 3, "training windows are fewer than 999 clusters"),
        (["--method", "hdbscan", "--k", "3"], 2, "--k has no effect on HDBSCAN"),
        (["--features", "encoder"], 2, "--features encoder are those of a training"),
    ],
)
def test_what_cannot_be_grouped_is_one_line(
    run, small_set: PreparedSet, words: list[str], code: int, problem: str
):
    ended, out, err = run("cluster", small_set.folder.name, *words)
    assert (ended, out) == (code, "")
    assert problem in err
    assert "Traceback" not in err


def test_what_is_neither_run_nor_home_is_named(run):
    code, out, err = run("cluster", "nowhere_at_all")
    assert (code, out) == (3, "")
    assert "nowhere_at_all is no run, no home and no prepared set" in err


def test_alignment_json_is_grouped_by_windows_alone(small_set: PreparedSet, tmp_path: Path):
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
    from casas_ray.corpus.exchange.shape_a import write_shape_a

    again = prepare_json(JsonFiles.beside(write_shape_a(small_set) / "train.json"))
    found = assign(again, None, Grouping("hand", k=4), lambda _: None)
    assert (found.folder / "windows.parquet").exists()
    assert not (found.folder / "events.parquet").exists()
    with pytest.raises(DataError, match="alignment JSON has none"):
        assign(again, None, Grouping("past", k=4), lambda _: None)


def test_hand_made_groups_of_a_set_do_not_depend_on_its_test_days(small_set: PreparedSet):
    short, whole = (
        SeenWindows.of(small_set, names) for names in (("train", "val"), ("train", "test"))
    )
    found = []
    for windows in (short, whole):
        side = np.where(windows.split_E == 0, 0, np.where(windows.split_E == 1, 1, -1))
        fold = fold_of(windows, side, "later")
        found.append(cluster(windows, fold, MIX, k=5).cluster_N[fold.train])
    assert (found[0] == found[1]).all()
