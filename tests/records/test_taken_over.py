"""A study's folder from elsewhere beside or into ours: nothing of ours is lost, nothing is half."""

import shutil
from pathlib import Path

import pytest

from casas_ray.errors import RefusedError
from casas_ray.records.ledger import LEDGER
from casas_ray.records.run_result import RunResult
from casas_ray.records.taken_over import take_over


@pytest.fixture
def there(whole_run: Path, tmp_path: Path) -> Path:
    """A folder that can be taken apart."""
    return Path(shutil.copytree(whole_run, tmp_path / "there"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_run_that_is_not_here_comes_whole(there: Path, tmp_path: Path):
    wanted = contents(there)
    take_over(there, tmp_path / "here")
    assert contents(tmp_path / "here") == wanted
    assert RunResult.read(tmp_path / "here").status == "finished"


def test_a_run_that_went_on_there_is_brought_up_to_date(
    there: Path, whole_run: Path, tmp_path: Path
):
    here = tmp_path / "here"
    rows = (there / LEDGER).read_bytes().splitlines(keepends=True)
    here.mkdir()
    # As it was pulled in the middle, its last line torn.
    (here / LEDGER).write_bytes(b"".join(rows[:4]) + rows[4][:10])
    take_over(there, here)
    assert contents(here) == contents(whole_run)


@pytest.mark.parametrize("ours", [b'{"event": "start", "step": 0}\n', b"more"])
def test_a_run_that_went_on_here_is_refused_and_nothing_is_changed(
    there: Path, tmp_path: Path, ours: bytes
):
    here = tmp_path / "here"
    take_over(Path(shutil.copytree(there, tmp_path / "copy")), here)
    ledger = here / LEDGER
    ledger.write_bytes(ours if ours.endswith(b"\n") else ledger.read_bytes() + b'{"event": "x"}\n')
    before = contents(here)
    with pytest.raises(RefusedError, match="went on here, or is of another training") as caught:
        take_over(there, here)
    assert caught.value.exit_code == 8
    assert contents(here) == before


def test_a_folder_that_is_not_ours_is_refused(there: Path, tmp_path: Path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"thesis\.txt"):
        take_over(there, tmp_path / "here")


def test_checkpoints_that_are_here_stay_and_others_come(there: Path, tmp_path: Path):
    here = tmp_path / "here"
    shutil.copytree(there, here)
    steps = sorted((here / "checkpoints").iterdir())
    shutil.rmtree(steps[0])
    take_over(there, here)
    assert sorted((here / "checkpoints").iterdir()) == steps
