"""The recorder's own rules, called as its process calls them: one writer, rows without gaps, and
checkpoints that arrive whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from casas_ray.errors import DataError
from casas_ray.records.ledger import new_row, read_rows
from casas_ray.records.run_result import CHECKPOINTS, checkpoint_folder
from casas_ray.run.recorder import Recorder, TurnLost


@pytest.fixture
def files(whole_run: Path) -> dict[str, bytes]:
    """The files of a real checkpoint, of step 36."""
    folder = checkpoint_folder(whole_run, 36)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def send(recorder: Recorder, run: Path, turn: str, files: dict[str, bytes]) -> None:
    recorder.expect(run, turn)
    for name, content in files.items():
        for offset in range(0, len(content), 10_000):
            chunk = np.frombuffer(content[offset : offset + 10_000], dtype=np.uint8)
            recorder.receive(run, turn, name, offset, chunk)


def test_a_checkpoint_sent_in_pieces_is_the_one_that_was_written(
    tmp_path: Path, files: dict[str, bytes]
):
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    recorder.append(tmp_path, turn, 0, [new_row("start", 0, info={})])
    recorder.append(tmp_path, turn, 1, [new_row("checkpoint", 36, is_best=True)])
    send(recorder, tmp_path, turn, files)
    about = recorder.save(tmp_path, turn, 36, keep=2, best=36)
    kept = checkpoint_folder(tmp_path, 36)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == files
    assert about["local_path"] == f"{CHECKPOINTS}/step-00000036/weights.safetensors"
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir()] == ["step-00000036"]
    sizes = {name: len(content) for name, content in files.items()}
    assert recorder.last(tmp_path) == (36, sizes)
    name = "optimizer.safetensors"
    assert recorder.read(tmp_path, 36, name, 1000).tobytes() == files[name][1000:]


def test_who_wrote_before_is_refused_from_the_next_turn_on(tmp_path: Path):
    recorder = Recorder(tmp_path)
    first = recorder.open(tmp_path)
    recorder.append(tmp_path, first, 0, [new_row("start", 0, info={})])
    second = recorder.open(tmp_path)
    with pytest.raises(TurnLost, match="somebody else writes"):
        recorder.append(tmp_path, first, 1, [new_row("metrics", 9, metrics={})])
    with pytest.raises(TurnLost, match="somebody else writes"):
        recorder.save(tmp_path, first, 9, keep=2, best=-1)
    recorder.append(tmp_path, second, 0, [new_row("metrics", 5, metrics={})])
    assert [row["step"] for row in read_rows(tmp_path)] == [0, 5]


def test_a_recorder_begun_again_takes_no_row_of_who_wrote_to_the_one_before(tmp_path: Path):
    turn = Recorder(tmp_path).open(tmp_path)
    again = Recorder(tmp_path)
    with pytest.raises(TurnLost):
        again.append(tmp_path, turn, 0, [new_row("start", 0, info={})])
    again.open(tmp_path)
    with pytest.raises(TurnLost):
        again.append(tmp_path, turn, 0, [new_row("start", 0, info={})])


def test_after_a_row_that_did_not_arrive_none_is_taken(tmp_path: Path):
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    with pytest.raises(TurnLost, match="row 1 of"):
        recorder.append(tmp_path, turn, 1, [new_row("metrics", 5, metrics={})])
    assert recorder.rows(tmp_path, turn) == 0


@pytest.mark.faults
def test_a_checkpoint_altered_or_cut_on_its_way_never_takes_its_name(
    tmp_path: Path, files: dict[str, bytes]
):
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    altered = bytearray(files["weights.safetensors"])
    altered[-1] ^= 1
    for broken in (
        files | {"weights.safetensors": bytes(altered)},
        files | {"optimizer.safetensors": files["optimizer.safetensors"][:-1]},
        {name: content for name, content in files.items() if name != "meta.json"},
    ):
        send(recorder, tmp_path, turn, broken)
        with pytest.raises(DataError, match="torn or altered"):
            recorder.save(tmp_path, turn, 36, keep=2, best=36)
        assert list((tmp_path / CHECKPOINTS).iterdir()) == []
    chunk = np.zeros(10, dtype=np.uint8)
    recorder.expect(tmp_path, turn)
    with pytest.raises(TurnLost, match="lacks bytes before 10"):
        recorder.receive(tmp_path, turn, "meta.json", 10, chunk)
    with pytest.raises(TurnLost, match=r"no checkpoint of .* is expected"):
        recorder.receive(tmp_path, turn, "meta.json", 0, chunk)


@pytest.mark.faults
def test_what_a_killed_writer_left_half_sent_is_gone_at_the_next_turn(
    tmp_path: Path, files: dict[str, bytes]
):
    before = Recorder(tmp_path)
    send(before, tmp_path, before.open(tmp_path), files)
    assert len(list((tmp_path / CHECKPOINTS).iterdir())) == 1
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    assert list((tmp_path / CHECKPOINTS).iterdir()) == []
    send(recorder, tmp_path, turn, files)
    recorder.save(tmp_path, turn, 36, keep=1, best=36)


@pytest.mark.faults
def test_a_disk_that_is_full_refuses_the_checkpoint_and_keeps_what_stands(
    small_disk: Path, files: dict[str, bytes]
):
    run = small_disk / "run"
    recorder = Recorder(run)
    turn = recorder.open(run)
    recorder.append(run, turn, 0, [new_row("start", 0, info={})])
    with pytest.raises(OSError, match="No space left"):
        send(recorder, run, turn, files)
    # The room is free again: the row that says so is taken.
    recorder.append(run, turn, 1, [new_row("end", 0, status="failed", error="full")])
    assert [row["event"] for row in read_rows(run)] == ["start", "end"]


def test_only_files_of_a_checkpoint_are_taken(tmp_path: Path):
    recorder = Recorder(tmp_path)
    turn = recorder.open(tmp_path)
    with pytest.raises(ValueError, match="no file of a checkpoint"):
        recorder.receive(tmp_path, turn, "../run.json", 0, np.zeros(1, dtype=np.uint8))
