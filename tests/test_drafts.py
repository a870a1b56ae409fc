"""What a killed process was just writing is cleared by who writes there next, and nothing else."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.waiting import wait_until

from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.drafts import clear_drafts, draft_name
from casas_ray.files import new_folder, write_whole
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.lock import locked
from casas_ray.records.run_store import FolderStore
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder

WRITING = """
import sys, time
from pathlib import Path
from casas_ray.files import new_folder, new_folder_over, whole_file
target = Path(sys.argv[2])
with {"file": whole_file, "folder": new_folder, "over": new_folder_over}[sys.argv[1]](target) as at:
    (at if sys.argv[1] == "file" else at / "part").write_bytes(bytes(1000))
    print("writing", flush=True)
    time.sleep(600)
"""


def writing(kind: str, target: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing a target."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, kind, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["file", "folder", "over"])
def test_what_a_killed_process_left_half_written_goes_with_the_next_writing(
    kind: str, tmp_path: Path
):
    killed, at_work = writing(kind, tmp_path / "target"), writing(kind, tmp_path / "target")
    try:
        assert len(names(tmp_path)) == 2
        killed.kill()
        killed.wait()
        assert len(names(tmp_path)) == 2
        write_whole(tmp_path / "other", "content")
        (left,) = names(tmp_path) - {"other"}
        assert f"-{at_work.pid}-" in left  # it is alive, and so is its draft
    finally:
        at_work.kill()
        at_work.wait()
    with new_folder(tmp_path / "third"):
        pass
    assert names(tmp_path) == {"other", "third"}


def test_a_killed_process_that_nobody_has_buried_yet_is_gone(tmp_path: Path):
    killed = writing("file", tmp_path / "target")
    killed.kill()

    def cleared() -> bool:
        clear_drafts(tmp_path)
        return not names(tmp_path)

    wait_until(cleared)
    killed.wait()


def test_who_takes_a_folder_clears_it(tmp_path: Path):
    killed = writing("file", tmp_path / "run.json")
    killed.kill()
    killed.wait()
    with locked(tmp_path):
        assert names(tmp_path) == {".lock"}


def test_what_is_not_known_for_the_draft_of_a_process_that_is_gone_stays(tmp_path: Path):
    (gone := draft_name(tmp_path / "set")).mkdir()
    mark, host, process, start, digits = gone.name.rsplit("-", 4)
    kept = [
        gone.name,  # this process's own, and it lives
        f"{mark}-{'0' * 8}-{process}-{start}-{digits}",  # another host's
        f".set.{digits}.draft",  # of an earlier version: nothing says whose
        f"{mark}-{host}-{process}-1-{digits}.txt",
        "-".join(["set", host, process, "1", digits]),
    ]
    for name in kept[1:]:
        (tmp_path / name).mkdir()
    # Its number was given again: the process of that start is gone.
    (tmp_path / f"{mark}-{host}-{process}-1-{digits}").mkdir()
    clear_drafts(tmp_path)
    assert names(tmp_path) == set(kept)


def test_a_draft_that_is_a_link_goes_without_what_it_points_at(tmp_path: Path):
    (tmp_path / "log").mkdir()
    mark, host, process, _, digits = draft_name(tmp_path / "log.txt").name.rsplit("-", 4)
    (tmp_path / f"{mark}-{host}-{process}-1-{digits}").symlink_to(tmp_path / "log")
    clear_drafts(tmp_path)
    assert names(tmp_path) == {"log"}


KILLED_BEFORE_RENAME = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from casas_ray.config import Recipe
from casas_ray.corpus.alignment import PreparedSet
from casas_ray.loader.training_data import TrainingData
from casas_ray.records.run_store import FolderStore
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder
folder, recipe, prepared, vectors = sys.argv[1:]
real = os.replace
def rename(self, target):
    if Path(target).name == "step-00000036":
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, target)
    return Path(target)
Path.replace = rename
recipe = Recipe.model_validate_json(recipe)
loader = TrainingData(PreparedSet(Path(prepared)), np.load(vectors)).loader(
    recipe, torch.device("cpu"))
train(RunRecorder(FolderStore(Path(folder))), recipe, loader)
"""


def test_a_training_killed_at_a_checkpoint_leaves_none_of_it_when_it_is_taken_up(
    tmp_path: Path, small_recipe: Recipe, small_set: PreparedSet, small_vectors: np.ndarray
):
    np.save(tmp_path / "vectors.npy", small_vectors)
    words = [str(tmp_path / "run"), small_recipe.model_dump_json(), str(small_set.folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_RENAME, *words, str(tmp_path / "vectors.npy")],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    checkpoints = tmp_path / "run" / "checkpoints"
    assert any(name.startswith(".step-00000036.") for name in names(checkpoints))
    loader = TrainingData(small_set, small_vectors).loader(small_recipe, torch.device("cpu"))
    train(RunRecorder(FolderStore(tmp_path / "run")), small_recipe, loader)
    assert names(checkpoints) == {"step-00000018", "step-00000036"}
