"""A run pulled from a storage: whole, and no folder is made for what is not there."""

import shutil
from pathlib import Path

import pytest

from casas_ray import paths
from casas_ray.records.run_result import RunResult
from casas_ray.records.storage import Storage


@pytest.fixture
def kept(whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage with a run that is not on this disk."""
    monkeypatch.setenv("CASAS_RAY_DATA", str(tmp_path / "data"))
    folder = paths.runs() / "mine-1a2b3c"
    shutil.copytree(whole_run, folder)
    (folder / "run.json").write_text('{"recipe": {}}')
    Storage(str(tmp_path / "kept")).send(folder)
    shutil.rmtree(folder)
    return tmp_path / "kept"


def test_a_run_comes_whole_from_a_storage_and_asks_no_cluster(run, kept: Path, whole_run: Path):
    code, out, err = run("pull", "mine-1a2b3c", "--storage", kept, "--weights", "all")
    assert code == 0, err
    assert "casas-ray runs" in out
    here = paths.runs() / "mine-1a2b3c"
    assert RunResult.read(here).rows == RunResult.read(whole_run).rows
    steps = [path.name for path in sorted((here / "checkpoints").iterdir())]
    assert steps == [path.name for path in sorted((whole_run / "checkpoints").iterdir())]
    assert run("pull", "mine-1a2b3c", "--storage", kept)[0] == 0


def test_what_a_storage_has_not_leaves_nothing_here(run, kept: Path):
    code, _, err = run("pull", "other", "--storage", kept)
    assert (code, "holds no run and no study 'other'" in err) == (3, True)
    assert "it holds mine-1a2b3c" in err
    assert not (paths.runs() / "other").exists()


@pytest.mark.parametrize("name", ["../x", "study/../x", "/x", ""])
def test_a_name_that_leaves_is_refused_before_anybody_is_asked(run, kept: Path, name: str):
    code, _, err = run("pull", name, "--storage", kept)
    assert (code, "would leave its folder" in err) == (8, True)
    code, _, err = run("pull", name, "--dashboard", "http://127.0.0.1:9")
    assert (code, "asking" in err) == (8, False)
