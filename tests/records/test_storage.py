"""A storage besides this disk: what is there is what is here, and a lost disk is made up for."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.ledgers import assert_same_run
from support.recipes import WORDS
from support.s3_server import KEYS, bucket

from casas_ray.config import Machine, Recipe
from casas_ray.errors import RefusedError
from casas_ray.loader.loader import Loader
from casas_ray.records.ledger import Ledger
from casas_ray.records.run_result import RunResult
from casas_ray.records.run_store import FolderStore
from casas_ray.records.storage import Storage
from casas_ray.records.storage_mirror import bring, copied
from casas_ray.training.loop import train
from casas_ray.training.recorder import RunRecorder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["folder", "bucket"])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "elsewhere")
        return
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with bucket() as made:
        yield made


def files_of(folder: Path) -> dict[str, bytes]:
    """What a storage keeps of a run's folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def half_done(whole_run: Path, folder: Path) -> Path:
    """A run that was killed after its first epoch."""
    shutil.copytree(whole_run, folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000036")
    ledger = folder / "ledger.jsonl"
    rows = ledger.read_text().splitlines()
    ledger.write_text("\n".join(row for row in rows if json.loads(row)["step"] <= 20) + "\n")
    return folder


@pytest.mark.faults
def test_a_run_whose_disk_is_lost_goes_on_from_the_storage(
    address: str, whole_run: Path, tmp_path: Path, small_recipe: Recipe, small_loader: Loader
):
    run, storage = half_done(whole_run, tmp_path / "run"), Storage(address)
    storage.require_writable()
    storage.send(run)
    before = files_of(run)
    shutil.rmtree(run)
    bring(Machine(storage=address), run)
    assert files_of(run) == before
    with copied(Machine(storage=address), [run]):
        train(RunRecorder(FolderStore(run), log_every=3), small_recipe, small_loader)
    assert_same_run(whole_run, run)
    done = files_of(run)
    shutil.rmtree(run)
    storage.bring(run)
    assert files_of(run) == done


def test_a_command_with_a_storage_finds_its_result_there(
    address: str, tmp_path: Path, text_model: str, run: Run
):
    folder = tmp_path / "run"
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    words += ["--no-wandb", "--json", "--output-dir", folder, f"machine.storage={address}"]
    code, out, err = run(*words)
    assert code == 0, err
    before = files_of(folder)
    shutil.rmtree(folder)
    code, again, err = run(*words)
    assert (code, json.loads(again)) == (0, json.loads(out))
    assert "finished before; nothing is trained" in err
    assert files_of(folder) == before


def test_what_was_pruned_here_is_pruned_there_and_nothing_is_sent_twice(
    whole_run: Path, tmp_path: Path
):
    run, there = tmp_path / "run", tmp_path / "there"
    shutil.copytree(whole_run, run)
    storage = Storage(str(there))
    storage.send(run)
    sent = there / "run" / "checkpoints" / "step-00000036" / "weights.safetensors"
    first = sent.stat().st_ino
    storage.send(run)
    assert sent.stat().st_ino == first
    shutil.rmtree(run / "checkpoints" / "step-00000018")
    storage.send(run)
    kept = [path.name for path in (there / "run" / "checkpoints").iterdir()]
    assert kept == ["step-00000036"]


def test_a_checkpoint_that_was_half_sent_is_not_brought(whole_run: Path, tmp_path: Path):
    run, there = tmp_path / "run", tmp_path / "there"
    shutil.copytree(whole_run, run)
    Storage(str(there)).send(run)
    (there / "run" / "checkpoints" / "step-00000036" / "meta.json").unlink()
    shutil.rmtree(run)
    Storage(str(there)).bring(run)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000018"]


def test_two_that_went_on_by_themselves_are_not_mixed(whole_run: Path, tmp_path: Path):
    run, storage = half_done(whole_run, tmp_path / "run"), Storage(str(tmp_path / "there"))
    storage.send(run)
    Ledger(tmp_path / "there" / "run").append("metrics", 21, metrics={"train/loss": 1.0})
    Ledger(run).append("metrics", 21, metrics={"train/loss": 2.0})
    with pytest.raises(RefusedError, match="went on each by itself"):
        storage.bring(run)
    assert RunResult.read(run).metrics_at(21, "train/") == {"train/loss": 2.0}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("storage", "code", "said"),
    [
        ("{file}/there", 4, "the storage {file}/there fails:"),
        ("s3://runs/x?endpoint_override=127.0.0.1:9&scheme=http", 4, "the storage s3://runs/x"),
        ("what://is/this", 2, "machine.storage=what://is/this names no storage"),
    ],
)
def test_a_storage_that_takes_no_files_is_refused_before_anything_is_trained(
    storage: str,
    code: int,
    said: str,
    tmp_path: Path,
    text_model: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "file"
    file.touch()
    words = ["train", "milan_tiny", *WORDS, f"text.model={text_model}", "--machine", "debug"]
    words += ["--output-dir", tmp_path / "run", f"machine.storage={storage.format(file=file)}"]
    found, _, err = run(*words)
    assert found == code, err
    assert said.format(file=file) in err.replace("\n", "")
    assert not (tmp_path / "run").exists()
