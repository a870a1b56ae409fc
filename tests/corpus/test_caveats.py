"""What must be said of data comes back with the files it travels in."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.corpus.exchange.shape_a import write_shape_a
from casas_ray.corpus.fetch import logs_for


def test_a_simulated_home_is_simulated_when_its_json_comes_back(
    small_set: PreparedSet, tmp_path: Path
):
    files = Path(shutil.copytree(write_shape_a(small_set), tmp_path / "sent"))
    again = prepare_json(JsonFiles.beside(files / "train.json"))
    assert again.caveats == ("SIMULATED home",)
    assert again.simulated
    once_more = prepare_json(JsonFiles.beside(write_shape_a(again) / "train.json"))
    assert once_more.caveats == ("SIMULATED home",)


def test_one_window_of_a_simulated_home_among_others_is_enough(
    small_set: PreparedSet, tmp_path: Path
):
    files = Path(shutil.copytree(write_shape_a(small_set), tmp_path / "sent"))
    rows = json.loads((files / "train.json").read_text())
    for row in rows[:-1]:
        del row["caveats"]
    (files / "train.json").write_text("\n".join(json.dumps(row) for row in rows))
    for row in (held := json.loads((files / "val.json").read_text())):
        del row["caveats"]
    (files / "val.json").write_text(json.dumps(held))
    (files / "test.json").unlink()
    assert prepare_json(JsonFiles.beside(files / "train.json")).caveats == ("SIMULATED home",)


def test_each_line_of_a_log_is_used_or_listed_once(small_set: PreparedSet):
    about = small_set.manifest["homes"]["milan"]
    with (small_set.folder / "quarantine.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert about["dropped_by_type"]["temperature"] > 0
    assert len({row["line"] for row in rows}) == len(rows)
    assert about["used"] + len(rows) == about["log"]["lines"]
    reasons = Counter(row["reason"] for row in rows)
    assert reasons["left out by type: temperature"] == about["dropped_by_type"]["temperature"]


def test_a_simulated_log_is_not_taken_for_a_homes_own(run, small_recipe, data_root: Path):
    (log,) = logs_for(small_recipe.data).values()
    code, _, err = run("prepare", "somebodys", "--log", log)
    assert code == 8
    assert "is a SIMULATED log" in err
    assert not (data_root / "raw" / "somebodys").exists()
    (data_root / "raw" / "byhand").mkdir()
    (data_root / "raw" / "byhand" / "data").symlink_to(log)
    assert run("prepare", "byhand")[0] == 8
