"""An export gives the vectors and clusters that its run gives, needs nothing else, and is whole or
refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import casas_ray as cr
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.fetch import logs_for
from casas_ray.errors import CasasError, DataError, RefusedError, SettingsError, SetupError
from casas_ray.evals.exported import ExportedModel
from casas_ray.evals.trained_run import TrainedRun


@pytest.fixture(scope="module")
def trained(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return TrainedRun.open(Path(shutil.copytree(whole_run, tmp_path_factory.mktemp("r") / "run")))


@pytest.fixture(scope="module")
def exported(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from casas_ray.evals.assignments import assign
    from casas_ray.evals.export import export
    from casas_ray.evals.grouping import Grouping

    found = assign(trained.data.prepared, trained, Grouping("encoder", k=6), lambda _: None)
    return export(trained, tmp_path_factory.mktemp("e") / "model", clusters=found.folder)


@pytest.fixture
def alone(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExportedModel:
    """The export where there is neither set nor run."""
    folder = shutil.copytree(exported, tmp_path / "elsewhere")
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "no_data"))
    opened = cr.load(folder)
    assert isinstance(opened, ExportedModel)
    return opened


def events_of(small_set: PreparedSet, rows: slice) -> dict:
    events = pq.read_table(small_set.folder / "events.parquet")
    return {
        "time": events.column("time_us").to_numpy()[rows].astype("datetime64[us]"),
        "sensor": events.column("sensor").to_pylist()[rows],
        "state": events.column("state").to_pylist()[rows],
    }


def test_vectors_are_the_runs_own_bit_for_bit(
    alone: ExportedModel, trained: TrainedRun, small_set: PreparedSet, small_recipe
):
    events, texts = events_of(small_set, slice(0, 300)), ["the kitchen at night"]
    found = alone.encode_windows(events), alone.encode_text(texts)
    log = logs_in(small_set, small_recipe)
    of_log = alone.encode_windows(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASAS_RAY_DATA", str(small_set.folder.parent.parent))
        assert np.array_equal(found[0], trained.encode_windows(events))
        assert np.array_equal(found[1], trained.encode_text(texts))
        training = trained.encode_windows("train")
    # The log begins with the training days: so many windows are cut at the same places.
    whole = len(training) // 256 * 256
    assert whole > 0
    assert np.array_equal(of_log[:whole], training[:whole])


def test_where_nothing_can_be_written_is_one_line_that_names_it(trained: TrainedRun):
    from casas_ray.evals.export import export

    with pytest.raises(SetupError, match="the folder /proc cannot be written to"):
        export(trained, Path("/proc/model"))


def test_a_study_in_place_of_a_run_is_told_from_one_that_never_validated(tmp_path: Path):
    for problem in (r"has no best checkpoint\.", "it is a study"):
        with pytest.raises(DataError, match=problem):
            TrainedRun.open(tmp_path)
        (tmp_path / "study.json").write_text("{}")


def logs_in(small_set: PreparedSet, recipe: cr.Recipe) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASAS_RAY_DATA", str(small_set.folder.parent.parent))
        (log,) = logs_for(recipe.data).values()
    return log


def test_activities_of_a_log_are_the_clusters_of_the_training_days(
    alone: ExportedModel, exported: Path, small_set: PreparedSet, small_recipe
):
    log = logs_in(small_set, small_recipe)
    told = alone.activities(log).to_pylist()
    run_folder = next(exported.glob("clusters/*"))
    assert run_folder.name == "encoder-kmeans-6-val"
    assert {row["cluster"] for row in told} <= set(range(6))
    assert [row["start"] for row in told] == sorted(row["start"] for row in told)
    about = json.loads((run_folder / "clusters.json").read_text())
    sizes = {row["cluster"]: row["train"] for row in about["clusters"]}
    training = told[: sum(sizes.values())]
    assert {name: sum(row["cluster"] == name for row in training) for name in sizes} == sizes
    labels = {row["cluster"]: row["label"] for row in about["clusters"]}
    assert all(row["name"] in (labels[row["cluster"]], "") for row in told)
    again = alone.activities(events_of(small_set, slice(0, 300))).to_pylist()
    assert [row["cluster"] for row in again[:5]] == [row["cluster"] for row in told[:5]]


def test_the_card_tells_data_protocol_results_and_limits(exported: Path, small_set: PreparedSet):
    card = (exported / "README.md").read_text()
    for text in (
        "**SIMULATED home**",
        small_set.fingerprint,
        "Days are dealt by day in order of time",
        "Nobody looked at the test days",
        "| val/recall_mean |",
        "says anything of a real home",
        "6 clusters of trained by kmeans",
    ):
        assert text in card
    assert str(Path.home()) not in card


@pytest.mark.parametrize(
    "name",
    [
        "weights.safetensors",
        "config.json",
        "vocab.json",
        "homes.json",
        "export.json",
        "clusters/encoder-kmeans-6-val/model.safetensors",
        "clusters/encoder-kmeans-6-val/clusters.json",
    ],
)
@pytest.mark.parametrize("how", ["gone", "cut", "altered"])
def test_a_damaged_file_is_one_line(exported: Path, tmp_path: Path, name: str, how: str):
    folder = Path(shutil.copytree(exported, tmp_path / "model"))
    path, content = folder / name, (exported / name).read_bytes()
    if how == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        byte = bytes([content[middle] ^ 1])
        altered = content[:middle] + byte + content[middle + 1 :]
        path.write_bytes(content[:middle] if how == "cut" else altered)
    with pytest.raises(CasasError, match="model") as caught:
        cr.load(folder)
    assert "\n" not in caught.value.problem


def test_an_export_of_another_format_is_refused(exported: Path, tmp_path: Path):
    from casas_ray.sealed import read_sealed, write_sealed

    folder = Path(shutil.copytree(exported, tmp_path / "model"))
    held = read_sealed(folder / "export.json", hint="")
    write_sealed(folder / "export.json", {**held, "format": 99})
    with pytest.raises(RefusedError, match="of format 99; this version reads 1"):
        cr.load(folder)


def test_only_an_export_is_written_over(run, trained: TrainedRun, tmp_path: Path):
    folder = tmp_path / "model"
    code, out, _ = run("export", trained.folder, folder, "--clusters", "none")
    assert code == 0
    assert "without clusters" in out
    assert "SIMULATED home" in out
    assert run("export", trained.folder, folder, "--clusters", "none")[0] == 0
    (folder / "notes.txt").write_text("mine")
    code, _, err = run("export", trained.folder, folder)
    assert code == 8
    assert "holds 'notes.txt', which is no part of an export" in err
    assert (folder / "notes.txt").read_text() == "mine"
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a.txt").write_text("theirs")
    for target, problem in (
        (theirs, "holds 'a.txt' and is no export"),
        (trained.folder, "and is no export"),
        (theirs / "a.txt", "is no folder"),
    ):
        before = sorted(path.name for path in tmp_path.rglob("*"))
        code, _, err = run("export", trained.folder, target)
        assert code == 8
        assert problem in err
        assert sorted(path.name for path in tmp_path.rglob("*")) == before
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert run("export", trained.folder, link)[0] == 8


def test_without_clusters_activities_say_what_to_do(trained: TrainedRun, tmp_path: Path):
    from casas_ray.evals.export import export

    model = ExportedModel.open(export(trained, tmp_path / "model"))
    with pytest.raises(SettingsError, match="was exported without clusters"):
        model.activities("log.txt")


def test_another_homes_log_is_refused(alone: ExportedModel, tmp_path: Path):
    log = tmp_path / "other.txt"
    log.write_text("".join(f"2010-01-01 08:{minute:02d}:00 X9 ON\n" for minute in range(60)))
    with pytest.raises(DataError, match="none of its 1 sensors is in home 'milan'"):
        alone.encode_windows(log)
