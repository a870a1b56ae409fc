"""A person's names of clusters: checked, kept beside them, shown wherever clusters are."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.errors import SettingsError
from casas_ray.evals.cluster_names import Names, file_of
from casas_ray.names import plain

SCRIPT = "<script>alert(1)</script> & [red]x"


@pytest.fixture
def kept(run, small_set: PreparedSet, data_root: Path):
    """The folder of a clustering of the small home, which is made anew for each test."""
    shutil.rmtree(data_root / "clusters", ignore_errors=True)
    code, out, _ = run("cluster", small_set.folder.name, "--k", "4", "--json")
    assert code == 0
    return Path(json.loads(out)["folder"])


def columns(folder: Path, table: str) -> tuple[list[int], list[str]]:
    held = pq.read_table(folder / f"{table}.parquet")
    return held.column("cluster").to_pylist(), held.column("name").to_pylist()


def test_names_show_in_tables_files_and_on_the_map(run, kept: Path, small_set, tmp_path: Path):
    assert set(columns(kept, "windows")[1]) == {""}
    code, out, _ = run("name", small_set.folder.name, "3=Cook", "0=Get   up")
    assert code == 0
    assert "Named by a person: 0, 3; other names are proposed." in out
    for table in ("windows", "events"):
        named = set(zip(*columns(kept, table), strict=True))
        assert named == {(0, "Get up"), (1, ""), (2, ""), (3, "Cook")}
    code, out, _ = run("map", small_set.folder.name, "--k", "4", "-o", tmp_path)
    page = (tmp_path / "map.html").read_text()
    assert "<h3>3 Cook</h3>" in page
    assert page.count("Named by a person.") == 2
    assert page.count("A proposed name.") == 2


def test_names_outlive_the_same_clusters_made_anew(run, kept: Path, small_set):
    assert run("name", kept, "3=Cook")[0] == 0
    code, out, _ = run("cluster", small_set.folder.name, "--k", "4", "--json")
    told = json.loads(out)
    assert (code, told["names"]) == (0, {"3": "Cook"})
    assert "Cook" in columns(kept, "windows")[1]
    code, out, _ = run("name", kept, "3=", "--json")
    assert json.loads(out)["names"] == {}
    assert set(columns(kept, "windows")[1]) == {""}


def test_names_of_other_clusters_are_set_aside_and_said(run, kept: Path, small_set, tmp_path):
    assert run("name", kept, "3=Cook")[0] == 0
    shutil.rmtree(kept)
    assert run("cluster", small_set.folder.name, "--k", "5")[0] == 0
    other = kept.with_name("hand-kmeans-5-val")
    # As when the set or the run under these clusters has changed.
    shutil.copy(file_of(kept), file_of(other))
    code, out, err = run("name", other)
    assert code == 0
    assert "Cook: these names were given to other clusters than these" in err
    assert "│ Cook" not in out
    assert run("map", small_set.folder.name, "--k", "5", "-o", tmp_path)[0] == 0
    assert "given to other clusters than these: Cook." in (tmp_path / "map.html").read_text()
    code, _, err = run("name", other, "1=Read")
    assert "are let go" in err
    assert json.loads(run("name", other, "--json")[1])["names"] == {"1": "Read"}


def test_a_run_s_names_lie_beside_its_clusters_and_its_record_stays(
    run, whole_run: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run("cluster", folder, "--k", "4")[0] == 0
    code, out, _ = run("name", folder, "2=Cook")
    assert code == 0
    assert "Cook" in out
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "clusters" / "encoder-kmeans-4-val.names.json").is_file()


def test_a_name_is_never_obeyed(run, kept: Path, small_set, tmp_path: Path):
    code, out, _ = run("name", kept, f"1={SCRIPT}")
    assert code == 0
    assert SCRIPT in out
    assert run("map", small_set.folder.name, "--k", "4", "-o", tmp_path)[0] == 0
    page = (tmp_path / "map.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; [red]x" in page


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("9=Cook", "there is no cluster 9"),
        ("Cook", "'Cook' names no cluster"),
        ("-1=Cook", "'-1=Cook' names no cluster"),
        ("1.5=Cook", "'1.5=Cook' names no cluster"),
        (f"1={'x' * 61}", "cannot be a name"),
        ("1=a\x1b[31m", "cannot be a name"),
    ],
)
def test_what_is_no_name_is_one_line_and_changes_nothing(run, kept: Path, word: str, problem: str):
    assert run("name", kept, "3=Cook")[0] == 0
    held = file_of(kept).read_bytes()
    code, out, err = run("name", kept, "--", "0=Read", word)
    assert (code, out) == (2, "")
    assert problem in err
    assert "\x1b" not in err
    assert file_of(kept).read_bytes() == held


def test_a_cluster_that_is_named_twice_is_refused():
    with pytest.raises(SettingsError, match="cluster 1 is named twice: 'a' and 'b'"):
        Names().changed(["1=a", "1=b"], [0, 1])


def test_where_there_is_no_clustering_or_several_it_says_so(run, kept: Path, small_set, tmp_path):
    code, _, err = run("name", tmp_path)
    assert code == 3
    assert "no clusters are kept in" in err
    assert run("cluster", small_set.folder.name, "--k", "5")[0] == 0
    code, _, err = run("name", small_set.folder.name, "1=Cook")
    assert code == 2
    assert "2 clusterings are kept" in err
    assert "hand-kmeans-4-val, hand-kmeans-5-val" in err
    code, _, err = run("name", "s3://bucket/run", "1=Cook")
    assert code == 2
    assert "names are kept beside clusters on this disk" in err


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("names", "it was changed after it was written"),
        ("about", "it was changed after it was written"),
        ("windows", "hand-kmeans-4-val/windows.parquet is damaged"),
    ],
)
def test_a_damaged_file_is_one_line(run, kept: Path, damage: str, problem: str):
    assert run("name", kept, "3=Cook")[0] == 0
    if damage == "windows":
        (kept / "windows.parquet").write_bytes(b"PAR1 torn")
    else:
        path = file_of(kept) if damage == "names" else kept / "clusters.json"
        path.write_text(path.read_text().replace("Cook", "Read").replace("train", "trains"))
    code, out, err = run("name", kept, "1=Read")
    assert (code, out) == (3, "")
    assert problem in err
    assert "Traceback" not in err


@given(st.dictionaries(st.integers(0, 9), st.text(max_size=70)))
def test_every_name_is_taken_as_a_screen_shows_it_or_refused(names: dict[int, str]):
    words = [f"{cluster}={name}" for cluster, name in names.items()]
    try:
        held = Names().changed(words, range(10)).by_cluster
    except SettingsError:
        squeezed = [" ".join(name.split()) for name in names.values()]
        assert any(len(name) > 60 or plain(name) != name for name in squeezed)
        return
    wanted = {each: " ".join(name.split()) for each, name in names.items() if name.split()}
    assert dict(held) == wanted
