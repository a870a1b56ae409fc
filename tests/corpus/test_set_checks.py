"""A prepared set is read only as it was written, and is made anew where it can be."""

import json
import logging
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.alignment_json import files

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.corpus.fetch import logs_for
from casas_ray.corpus.inventory import homes_at_hand
from casas_ray.corpus.prepare import prepare
from casas_ray.errors import DataError
from casas_ray.evals.trained_run import TrainedRun
from casas_ray.sealed import read_sealed, write_sealed


@pytest.fixture
def own_data(
    tmp_path: Path, data_root: Path, small_set: PreparedSet, small_vectors, monkeypatch
) -> Path:
    """A data folder of the test's own, with the small set and its log."""
    shutil.copytree(data_root / "raw", tmp_path / "data" / "raw", symlinks=True)
    shutil.copytree(data_root / "text", tmp_path / "data" / "text")
    folder = tmp_path / "data" / "aligned" / small_set.folder.name
    shutil.copytree(small_set.folder, folder)
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    return folder


def swap_splits(folder: Path) -> None:
    shutil.copy(folder / "val.parquet", folder / "test.parquet")


def drop_a_caveat(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"caveats": []}))


def cut_the_vocabulary(folder: Path) -> None:
    (folder / "vocab.json").write_text("{}")


def empty_the_captions(folder: Path) -> None:
    (folder / "captions.parquet").write_bytes(b"")


def lose_events(folder: Path) -> None:
    (folder / "events.parquet").unlink()


DAMAGE = [swap_splits, drop_a_caveat, cut_the_vocabulary, empty_the_captions, lose_events]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_prepared_again_by_who_has_its_log(
    damage, own_data: Path, small_recipe: Recipe, small_set: PreparedSet, caplog
):
    damage(own_data)
    (own_data / "notes.txt").write_text("the user's")
    prepared = prepare(small_recipe.data, logs_for(small_recipe.data))
    assert "is damaged" in caplog.text
    assert prepared.folder == own_data
    prepared.check()
    for path in small_set.folder.iterdir():
        if path.is_file():
            assert (own_data / path.name).read_bytes() == path.read_bytes()
    assert (own_data / "notes.txt").read_text() == "the user's"
    caplog.clear()
    prepare(small_recipe.data, logs_for(small_recipe.data))
    assert caplog.text == ""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_without_its_log_gives_no_verdict(
    damage, own_data: Path, whole_run: Path, small_recipe: Recipe
):
    damage(own_data)
    run = TrainedRun.open(whole_run)
    real = run.recipe.replace({"data.simulated": False})  # and its log is not at hand
    with pytest.raises(DataError, match="is damaged"):
        _ = TrainedRun(run.folder, run.checkpoint, run.meta, real).data
    # With the log at hand it is mended.
    _ = run.data
    PreparedSet(own_data).check()


def test_a_set_under_the_name_of_another_is_seen(own_data: Path, whole_run: Path):
    manifest = read_sealed(own_data / "manifest.json", hint="")
    write_sealed(own_data / "manifest.json", manifest | {"fingerprint": "0" * 64})
    with pytest.raises(DataError, match="it is of the set 000000000000"):
        PreparedSet(own_data).check(TrainedRun.open(whole_run).meta["about"]["fingerprint"])


def as_of_an_earlier_version(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"], manifest["seal"]
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def test_a_set_of_an_earlier_version_is_read_and_made_anew_without_a_word(
    own_data: Path, whole_run: Path, small_recipe: Recipe, caplog
):
    as_of_an_earlier_version(own_data)
    caplog.set_level(logging.INFO)
    assert not TrainedRun.open(whole_run).data.prepared.is_hashed
    prepared = prepare(small_recipe.data, logs_for(small_recipe.data))
    assert prepared.is_hashed
    assert caplog.text == ""


def test_ids_that_stand_for_nothing_are_refused_without_hashes_too(own_data: Path):
    as_of_an_earlier_version(own_data)
    prepared = PreparedSet(own_data)
    prepared.windows("val")
    texts = prepared.captions()
    pq.write_table(pq.read_table(own_data / "captions.parquet").slice(0, 3),
                   own_data / "captions.parquet")  # fmt: skip
    assert len(texts) > 3
    with pytest.raises(DataError, match="ids that stand for nothing"):
        PreparedSet(own_data).windows("val")


def test_a_damaged_set_of_alignment_json_is_made_anew(tmp_path: Path, caplog):
    windows, vocab = files(tmp_path)
    prepared = prepare_json(JsonFiles(windows, vocab))
    swapped = prepared.folder / "val.parquet"
    shutil.copy(prepared.folder / "train.parquet", swapped)
    prepare_json(JsonFiles(windows, vocab)).check()
    assert "val.parquet is damaged" in caplog.text


def test_one_damaged_set_hides_no_home(own_data: Path, caplog):
    (own_data / "manifest.json").write_bytes(b"")
    assert homes_at_hand()["milan"].sets == []
    assert "manifest.json is damaged: 0 bytes of nothing" in caplog.text


def test_a_simulated_log_that_was_cut_is_simulated_again(
    own_data: Path, small_recipe: Recipe, caplog
):
    (log,) = logs_for(small_recipe.data).values()
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    assert logs_for(small_recipe.data)["milan"].read_bytes() == whole
    assert "it is simulated again" in caplog.text
